import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const page = readFileSync(`${root}docs/backends/writing-a-backend.md`, 'utf8')

/** Each block of JavaScript, with the comment above it that says where it is from. */
const blocks = [...page.matchAll(/(?:<!-- (\S+)#(\S+) -->\n)?```js\n([\s\S]*?)```/g)].map(
  ([, file = '', region = '', code = '']) => ({ file, region, code }),
)

describe('docs/backends/writing-a-backend.md', () => {
  it('has code, and says of every block where it is from', () => {
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

/** Between `// #region name` and `// #endregion`, without the indentation of the marker. */
function regionOf(text: string, name: string): string {
  const match = new RegExp(`^( *)// #region ${name}\\n([\\s\\S]*?)^ *// #endregion`, 'm').exec(text)
  const [, indent = '', body = ''] = match ?? []
  const lines = body.split('\n')
  return lines
    .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
    .join('\n')
}
