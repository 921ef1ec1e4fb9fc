// Runs SQL in a fresh PGlite: {"statements": [...], "query": "..."} from standard input, the query's rows to standard
// output. Each statement goes alone: some may not share a transaction with others.
import { PGlite } from "@electric-sql/pglite"

let input = ""
for await (const chunk of process.stdin.setEncoding("utf8")) input += chunk
const { statements, query } = JSON.parse(input)

const database = await PGlite.create()
for (const [place, statement] of statements.entries()) {
  try {
    await database.exec(statement)
  } catch (error) {
    process.stderr.write(`statement ${place + 1}: ${error.message}\n${statement}\n`)
    process.exit(1)
  }
}
const { rows } = await database.query(query)
process.stdout.write(JSON.stringify(rows, (_, value) => (typeof value === "bigint" ? String(value) : value)))
await database.close()
