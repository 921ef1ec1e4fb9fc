// Two collections of TanStack DB, and live queries over them. Orders: {"mode": of sync, "shapes": {"items", "owners"}}.
// Commands: {"do": "query", "name"} starts one of the queries below and says its rows at each change; {"do": "await",
// "txid"} says when the items have it; {"do": "insert", "row"} inserts optimistically, asks for the transaction by
// saying {"insert"}, and is answered by {"do": "inserted", "txid"}; {"do": "requests"} says the log of them.
import { createCollection, createLiveQueryCollection, eq, gt, ilike } from '@tanstack/db'
import { electricCollectionOptions } from '@tanstack/electric-db-collection'
import { asked, counted, listen, say } from './lines.mjs'

const { requests, fetchClient } = counted()
let inserted

const collection = (name, more = {}) =>
  createCollection(
    electricCollectionOptions({
      id: name,
      shapeOptions: { ...asked.shapes[name], fetchClient, onError: (error) => say({ refused: String(error) }) },
      syncMode: asked.mode,
      getKey: (row) => row.id,
      ...more,
    }),
  )

const owners = collection('owners')
const items = collection('items', {
  onInsert: async ({ transaction }) => {
    const txid = new Promise((resolve) => (inserted = resolve))
    say({ insert: transaction.mutations[0].modified })
    return { txid: await txid }
  },
})

const queries = {
  all: (q) => q.from({ items }),
  best: (q) =>
    q
      .from({ items })
      .where(({ items }) => gt(items.score, 10))
      .orderBy(({ items }) => items.score, 'desc')
      .limit(3),
  annas: (q) => q.from({ items }).where(({ items }) => ilike(items.title, 'anna%')),
  joined: (q) =>
    q
      .from({ items })
      .innerJoin({ owners }, ({ items, owners }) => eq(items.owner_id, owners.id))
      .where(({ owners }) => eq(owners.name, 'ann'))
      .select(({ items, owners }) => ({ id: items.id, title: items.title, owner: owners.name })),
}

const plain = ({ id, title, score, owner_id, owner }) => ({ id, title, score, owner_id, owner })

async function query({ name }) {
  const live = createLiveQueryCollection({ query: queries[name], startSync: true })
  const tell = () => say({ name, rows: live.toArray.map(plain) })
  live.subscribeChanges(tell)
  await live.preload()
  tell()
}

async function insert({ row }) {
  const transaction = items.insert(row)
  say({ optimistic: items.has(row.id) })
  await transaction.isPersisted.promise
  say({ persisted: row.id })
}

listen({
  query,
  insert,
  inserted: ({ txid }) => inserted(txid),
  await: async ({ txid }) => say({ awaited: txid, held: await items.utils.awaitTxId(txid, 20_000) }),
  requests: () => say({ requests }),
})
