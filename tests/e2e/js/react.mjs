// Renders `useShape` into the document: `rows` as a list, or "loading", or the error. Orders: options of the shape.
// Command: {"do": "ask", "options"} renders with other options.
import { useShape } from '@electric-sql/react'
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'
import { asked, listen } from './lines.mjs'

function List({ options }) {
  const { data, isLoading, isError, error } = useShape({ ...options, onError: () => {} })
  if (isError) return createElement('b', null, `error ${error.status}`)
  if (isLoading) return createElement('i', null, 'loading')
  const sorted = [...data].sort((a, b) => a.id - b.id)
  return createElement('ul', null, sorted.map((row) => createElement('li', { key: row.id }, JSON.stringify(row))))
}

const root = createRoot(document.getElementById('root'))
const ask = ({ options }) => root.render(createElement(List, { options, key: JSON.stringify(options) }))
listen({ ask })
ask({ options: asked })
