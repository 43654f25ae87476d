import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const dist = fileURLToPath(new URL('../../dist/', import.meta.url))
const { peerDependencies } = JSON.parse(readFileSync(join(dist, '../package.json'), 'utf8')) as {
  peerDependencies: Record<string, string>
}

it('imports only packages that are the choice of the user, and those when they are needed', () => {
  const known = new Set([...Object.keys(peerDependencies), 'vitest'])
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' })
  const imports = files
    .filter((file) => file.endsWith('.js'))
    .flatMap((file) => {
      const code = readFileSync(join(dist, file), 'utf8')
      const statics = code.matchAll(/^(?:import|export) (?:[^'"]* from )?["']([^."'][^"']*)["']/gm)
      const dynamics = code.matchAll(/\bimport\(["']([^."'][^"']*)["']\)/g)
      return [
        ...[...statics].map(([, name = '']) => ({ file, name, isStatic: true })),
        ...[...dynamics].map(([, name = '']) => ({ file, name, isStatic: false })),
      ]
    })
    .filter(({ name }) => !name.startsWith('node:'))
  expect(imports.filter(({ isStatic }) => isStatic)).toEqual([])
  expect(new Set(imports.map(({ name }) => name))).toEqual(known)
})

it('holds the licences of the bundled packages', () => {
  const licences = readFileSync(join(dist, 'LICENSES.txt'), 'utf8')
  for (const name of ['commander', 'inversify', '@inversifyjs/core', 'pino', 'yaml', 'zod']) {
    expect(licences).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'))
  }
  expect(licences).toContain('Permission is hereby granted')
})

it('needs no circle of files', () => {
  const chunks = new Map(
    readdirSync(dist, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.js'))
      .map((file) => {
        const code = readFileSync(join(dist, file), 'utf8')
        const imports = code.matchAll(/^(?:import|export) (?:[^'"]* from )?["'](\.[^"']*)["']/gm)
        return [file, [...imports].map(([, path = '']) => join(dirname(file), path))]
      }),
  )
  const circleFrom = (file: string, way: readonly string[]): readonly string[] | undefined => {
    if (way.includes(file)) return [...way, file]
    return chunks
      .get(file)
      ?.map((next) => circleFrom(next, [...way, file]))
      .find((circle) => circle !== undefined)
  }
  expect(chunks.size).toBeGreaterThan(0)
  for (const file of chunks.keys()) expect(circleFrom(file, [])).toBeUndefined()
})
