import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { codeBlocks, regionOf } from '../support/docs-code.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const page = readFileSync(`${root}docs/backends/writing-a-backend.md`, 'utf8')
const blocks = codeBlocks(page)

describe('docs/backends/writing-a-backend.md', () => {
  it('has code, and says for every block where it comes from', () => {
    expect(blocks.length).toBeGreaterThan(8)
    expect(blocks.filter(({ file }) => file === '')).toEqual([])
  })

  it.each(blocks)('$file#$region is the code of the example', ({ file, region, code }) => {
    expect(code).toBe(regionOf(readFileSync(root + file, 'utf8'), region))
  })

  it('links to files that exist', () => {
    const links = [...page.matchAll(/\]\((?!http)([^)#]+)/g)].map(([, path]) => path!)
    expect(links.length).toBeGreaterThan(3)
    expect(links.filter((path) => !existsSync(`${root}docs/backends/${path}`))).toEqual([])
  })

  it('names only helpers that walsync/store exports', async () => {
    const store = await import('../../src/core/store/index.ts')
    const table = page.slice(page.indexOf('| helper'), page.indexOf('A whole `ObjectStore`'))
    const names = [...table.matchAll(/^\| (.+?) \|/gm)].flatMap(([, cell]) =>
      [...cell!.matchAll(/`(\w+)`/g)].map(([, name]) => name!),
    )
    expect(names.length).toBeGreaterThan(5)
    for (const name of names) expect(store).toHaveProperty(name)
  })
})
