// Follows a shape with the published client, unmodified, and says what it holds: one JSON line at each change.
// Usage: node follow.mjs URL TABLE [JSON of further params]
import { Shape, ShapeStream } from '@electric-sql/client'

const [url, table, params] = process.argv.slice(2)
const stream = new ShapeStream({ url, params: { table, ...JSON.parse(params ?? '{}') } })
const shape = new Shape(stream)
const encode = (_, value) => (typeof value === 'bigint' ? `${value}n` : value)

shape.subscribe(({ rows }) => {
  console.log(JSON.stringify({ handle: stream.shapeHandle, live: stream.isUpToDate, rows }, encode))
})
stream.subscribe(
  () => {},
  (error) => {
    console.error(String(error))
    process.exit(1)
  },
)
