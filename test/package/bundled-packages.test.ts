import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const dist = fileURLToPath(new URL('../../dist/', import.meta.url))
const manifest = JSON.parse(readFileSync(join(dist, '../package.json'), 'utf8')) as {
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
}

it('imports only packages that an installation has', () => {
  const known = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }))
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' })
  const imported = files
    .filter((file) => file.endsWith('.js') && !file.startsWith('vendor'))
    .flatMap((file) => {
      const code = readFileSync(join(dist, file), 'utf8')
      const names = code.matchAll(/^(?:import|export) (?:[^'"]* from )?'((?:@[\w-]+\/)?[\w-]+)/gm)
      return [...names].flatMap(([, name = '']) => (name === 'node' ? [] : `${file}: ${name}`))
    })
  expect(imported.length).toBeGreaterThan(0)
  expect(imported.filter((line) => !known.has(line.split(': ')[1] as string))).toEqual([])
})

it('holds the licences of the bundled packages', () => {
  const licences = readFileSync(join(dist, 'vendor/LICENSES.txt'), 'utf8')
  for (const name of ['inversify', '@inversifyjs/core', 'reflect-metadata', 'zod']) {
    expect(licences).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'))
  }
  expect(licences).toContain('Permission is hereby granted')
})
