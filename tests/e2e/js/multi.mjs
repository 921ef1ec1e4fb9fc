// Follows shapes together with MultiShapeStream, and says after each batch what each holds and how far it has come.
// Orders: {"shapes": {name: options, ...}}.
import { MultiShapeStream } from '@electric-sql/experimental'
import { asked, counted, say } from './lines.mjs'

const { requests, fetchClient } = counted()
const held = Object.fromEntries(Object.keys(asked.shapes).map((name) => [name, new Map()]))
const reached = {}
const changes = {}
const lsns = {}

const shapes = Object.fromEntries(
  Object.entries(asked.shapes).map(([name, options]) => [name, { ...options, fetchClient }]),
)
const stream = new MultiShapeStream({ shapes })

function apply({ shape, key, value, headers }) {
  if (headers.control === 'up-to-date') reached[shape] = headers.global_last_seen_lsn
  if (headers.control === 'must-refetch') held[shape].clear()
  if (!headers.operation) return
  changes[shape] = (changes[shape] ?? 0) + 1
  lsns[shape] = headers.lsn
  if (headers.operation === 'delete') held[shape].delete(key)
  else held[shape].set(key, { ...held[shape].get(key), ...value })
}

stream.subscribe((messages) => {
  messages.forEach(apply)
  const rows = Object.fromEntries(Object.entries(held).map(([name, map]) => [name, [...map.values()]]))
  const last = messages.filter(({ headers }) => headers.last).map(({ shape, headers }) => ({ shape, lsn: headers.lsn }))
  say({ upToDate: stream.isUpToDate, reached, changes, lsns, last, rows, requests: requests.length })
}, (error) => say({ error: String(error) }))
