import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const root = new URL('../../', import.meta.url)
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  exports: Record<string, string | { types: string; default: string }>
  bin: Record<string, string>
}

it.each(Object.entries(manifest.exports))(
  'the export %s exists in the build, with what its source exports',
  async (_, target) => {
    const files = typeof target === 'string' ? [target] : [target.types, target.default]
    for (const file of files) expect(existsSync(new URL(file, root)), file).toBe(true)
    if (typeof target === 'string') return
    const module = (await import(new URL(target.default, root).href)) as object
    const source = target.default.replace('./dist/', './src/').replace(/\.js$/, '.ts')
    const written = (await import(new URL(source, root).href)) as object
    expect(Object.keys(module).sort()).toEqual(Object.keys(written).sort())
    expect(Object.keys(module).length).toBeGreaterThan(0)
  },
)

it('names an executable that exists in the build', () => {
  for (const file of Object.values(manifest.bin)) {
    expect(readFileSync(new URL(file, root), 'utf8')).toMatch(/^#!/)
  }
})
