// A document for programs that render: `node --import ./dom.mjs program.mjs`. What it shows is said at each change.
import { Window } from 'happy-dom'

const window = new Window({ url: 'http://localhost/' })
window.document.body.innerHTML = '<div id="root"></div>'
Object.assign(globalThis, { window, document: window.document, navigator: window.navigator })
let shown
new window.MutationObserver(() => {
  const html = window.document.getElementById('root').innerHTML
  if (html !== shown) process.stdout.write(`${JSON.stringify({ html: (shown = html) })}\n`)
}).observe(window.document.body, { childList: true, subtree: true, characterData: true, attributes: true })
