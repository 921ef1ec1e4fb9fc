// What every program here shares: its orders as JSON in the first argument, one JSON line for each thing it says,
// commands as JSON lines on its standard input, and a fetch that keeps a log of the requests.
import { createInterface } from 'node:readline'

export const asked = JSON.parse(process.argv[2])

const encode = (_, value) => (typeof value === 'bigint' ? `${value}n` : value)

export function say(line) {
  process.stdout.write(`${JSON.stringify(line, encode)}\n`)
}

/** Calls the function that a command names: `{"do": name, ...}`. The function that it gives ends the listening. */
export function listen(actions) {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    const { do: name, ...rest } = JSON.parse(line)
    actions[name](rest)
  })
  return () => {
    lines.close()
    process.stdin.destroy()
  }
}

/** A fetch for the option `fetchClient`, and its log. */
export function counted() {
  const requests = []
  const fetchClient = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const request = { method: init?.method ?? 'GET', ...Object.fromEntries(url.searchParams), status: 0 }
    requests.push(request)
    const response = await fetch(input, init)
    request.status = response.status
    request.type = response.headers.get('content-type')
    return response
  }
  return { requests, fetchClient }
}
