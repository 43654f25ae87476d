import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { shellBlocks } from '../support/docs-blocks.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = [
  'README.md',
  'docs/start.md',
  'docs/on-call.md',
  ...readdirSync(`${root}docs/guides`).map((name) => `docs/guides/${name}`),
]

it.each(pages)('%s says for every shell block whether a test runs it, or why not', (page) => {
  const unmarked = shellBlocks(root + page).filter(({ mode }) => mode === 'unmarked')
  expect(unmarked.map(({ line, code }) => `${page}:${line}: ${code.split('\n', 1)[0]}`)).toEqual([])
})
