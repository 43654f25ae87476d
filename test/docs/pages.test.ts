import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  // Not into packages: those of an example link to this repository.
  ...globSync('{docs,bench,examples}/**/*.md', { cwd: root, exclude: ['**/node_modules'] }),
]
const textOf = (page: string) => readFileSync(join(root, page), 'utf8')

describe('every page', () => {
  it('links to files, and to headings, that exist', () => {
    const links = pages.flatMap((page) =>
      [...textOf(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(
        ([, path = '', heading]) => {
          const target = path === '' ? page : relative(root, join(root, dirname(page), path))
          return { page, target, heading }
        },
      ),
    )
    expect(links.length).toBeGreaterThan(40)
    const broken = links.filter(
      ({ target, heading }) =>
        !existsSync(join(root, target)) ||
        (heading !== undefined && !headings(target).includes(heading)),
    )
    expect(broken).toEqual([])
  })

  it('names tests that exist', () => {
    const named = pages.flatMap((page) =>
      [...textOf(page).matchAll(/`(test\/[\w./-]+)`/g)].map(([, path]) => ({ page, path: path! })),
    )
    expect(named.length).toBeGreaterThan(30)
    expect(named.filter(({ path }) => !existsSync(join(root, path)))).toEqual([])
  })
})

/** As GitHub makes anchors of them. */
function headings(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Every class of error whose codes are a closed union, and where the union is. */
const CODES: readonly (readonly [string, string, string])[] = [
  ['DatabaseError', 'src/core/db/database-error.ts', 'DatabaseErrorCode'],
  ['StoreError', 'src/core/store/store-error.ts', 'StoreErrorCode'],
  ['RestoreError', 'src/core/restore/restore-error.ts', 'RestoreErrorCode'],
  ['ReplicaError', 'src/core/replica/replica-error.ts', 'ReplicaErrorCode'],
]

describe('docs/reference/errors.md', () => {
  it.each(CODES)('has every code of %s', (_name, file, type) => {
    const union = new RegExp(`type ${type} =([^=]*?)\\n\\n`).exec(textOf(file))?.[1] ?? ''
    const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code!)
    expect(codes.length).toBeGreaterThan(3)
    const table = textOf('docs/reference/errors.md')
    expect(codes.filter((code) => !table.includes(`\`${code}\``))).toEqual([])
  })
})
