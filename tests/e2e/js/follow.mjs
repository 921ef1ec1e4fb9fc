// Follows any number of shapes with the published client and says what each holds, whenever it changes.
// Orders: {"shapes": {name: options of ShapeStream, ...}}; in the options, "repair": the params that onError gives
// after a refusal, "parsers": types of columns whose values are to be {"parsed": text}. Command: {"do": "abort"}.
import { Shape, ShapeStream } from '@electric-sql/client'
import { asked, counted, listen, say } from './lines.mjs'

const aborter = new AbortController()

function follow(name, { repair, parsers = [], ...options }) {
  const { requests, fetchClient } = counted()
  const stream = new ShapeStream({
    ...options,
    fetchClient,
    signal: aborter.signal,
    parser: Object.fromEntries(parsers.map((type) => [type, (text) => ({ parsed: text })])),
    onError: (error) => {
      say({ name, refused: error.status ?? String(error), json: error.json })
      return repair && { params: repair }
    },
  })
  const shape = new Shape(stream)
  shape.subscribe(({ rows }) => say({ name, handle: stream.shapeHandle, rows, requests }))
  return { name, requests }
}

const followed = Object.entries(asked.shapes).map(([name, options]) => follow(name, options))
const deaf = listen({
  abort: () => {
    aborter.abort()
    deaf()
    say({ aborted: true })
  },
  requests: () => followed.forEach(({ name, requests }) => say({ name, requests })),
})
