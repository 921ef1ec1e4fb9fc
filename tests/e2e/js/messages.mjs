// One stream, its messages as they come, and subset snapshots on request. Orders: options of ShapeStream.
// Commands: {"do": "snapshot" | "fetch", "params"}: with the stream, or beside it.
import { ShapeStream } from '@electric-sql/client'
import { asked, counted, listen, say } from './lines.mjs'

const { requests, fetchClient } = counted()
const stream = new ShapeStream({ ...asked, fetchClient })
stream.subscribe(
  (messages) => say({ messages, lastOffset: stream.lastOffset }),
  (error) => say({ error: String(error) }),
)

const answered = (kind, promise) =>
  promise.then(
    ({ data, metadata }) => say({ kind, rows: data.map(({ value }) => value), metadata, requests }),
    (error) => say({ kind, error: String(error), status: error.status, json: error.json }),
  )

listen({
  snapshot: ({ params }) => answered('snapshot', stream.requestSnapshot(params)),
  fetch: ({ params }) => answered('fetch', stream.fetchSnapshot(params)),
})
