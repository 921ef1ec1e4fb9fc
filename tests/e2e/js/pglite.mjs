// Syncs shapes into tables of a PGlite that lives in a folder, and says what these hold at each commit there.
// Orders: {"folder", "key", "ddl": [statements], "shapes": {name: options of syncShapesToTables}, "state": query}.
import { PGlite } from '@electric-sql/pglite'
import { live } from '@electric-sql/pglite/live'
import { electricSync } from '@electric-sql/pglite-sync'
import { asked, counted, say } from './lines.mjs'

const { requests, fetchClient } = counted()
const pg = await PGlite.create({ dataDir: asked.folder, extensions: { electric: electricSync(), live } })
for (const statement of asked.ddl) await pg.exec(statement)
say({ opened: (await pg.query(asked.state)).rows[0] })
await pg.live.query(asked.state, [], ({ rows }) => say({ state: rows[0], requests }))

const withLog = ([name, { shape, ...rest }]) => [name, { ...rest, shape: { ...shape, fetchClient } }]
await pg.electric.syncShapesToTables({
  key: asked.key,
  shapes: Object.fromEntries(Object.entries(asked.shapes).map(withLog)),
  initialInsertMethod: 'json',
  onInitialSync: () => say({ synced: true }),
  onError: (error) => say({ error: String(error) }),
})
