// JSX on standard input, JavaScript that node runs on standard output.
import { text } from 'node:stream/consumers'
import ts from 'typescript'

const compilerOptions = { jsx: ts.JsxEmit.ReactJSX, module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ESNext }
process.stdout.write(ts.transpileModule(await text(process.stdin), { compilerOptions }).outputText)
