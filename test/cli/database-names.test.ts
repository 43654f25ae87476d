import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { nameDatabases } from '../../src/cli/args/database-names.ts'
import { displayName, prefixOf } from '../../src/cli/args/replica-names.ts'
import { UsageError } from '../../src/cli/args/usage-error.ts'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'walsync names '))
})
afterEach(() => rmSync(cwd, { recursive: true }))

describe('nameDatabases', () => {
  it('takes the file name without its last extension, whatever that is', () => {
    const named = nameDatabases(['a/app.db', 'my.app.sqlite', 'plain', 'with space.db'], { cwd })
    expect(named.map(({ name }) => name)).toEqual(['app', 'my.app', 'plain', 'with space'])
    expect(named.map(({ prefix }) => prefix)).toEqual(['app', 'my.app', 'plain', 'with=20space'])
    expect(named[0]?.path).toBe(join(cwd, 'a/app.db'))
  })

  it('refuses two databases of one name, and names both paths', () => {
    const clash = () => nameDatabases(['one/app.db', 'other.db', 'two/app.sqlite'], { cwd })
    expect(clash).toThrow(UsageError)
    expect(clash).toThrow(
      `${join(cwd, 'one/app.db')} and ${join(cwd, 'two/app.sqlite')} would both be replicated under the name "app"`,
    )
  })

  it('refuses one file under two names', () => {
    writeFileSync(join(cwd, 'app.db'), '')
    symlinkSync(join(cwd, 'app.db'), join(cwd, 'link.db'))
    expect(() => nameDatabases(['app.db', 'link.db'], { cwd })).toThrow('are the same file')
    expect(() => nameDatabases(['app.db', './app.db'], { cwd })).toThrow('are the same file')
  })

  it('refuses a pattern that matched no file, and takes a file of such a name', () => {
    const pattern = () => nameDatabases(['app.db', 'tenants/*.db'], { cwd })
    expect(pattern).toThrow(UsageError)
    expect(pattern).toThrow('"tenants/*.db" is a pattern')
    writeFileSync(join(cwd, 'what?.db'), '')
    expect(nameDatabases(['what?.db'], { cwd })).toMatchObject([{ name: 'what?' }])
  })

  it.each(['', 'a//b', '/a', 'a/', 'x'.repeat(201)])('refuses %j as a name', (name) => {
    const named = () => nameDatabases(['app.db'], { cwd, name })
    expect(named).toThrow(UsageError)
    expect(named).toThrow('No replica can have the name')
  })

  it('refuses a name that walsync list would not find again', () => {
    expect(nameDatabases(['app.db'], { cwd, name: 'a/b/c/d' })[0]?.prefix).toBe('a/b/c/d')
    expect(() => nameDatabases(['app.db'], { cwd, name: 'a/b/c/d/e' })).toThrow('has 5 parts')
  })

  it('takes --name for one database only', () => {
    expect(nameDatabases(['app.db'], { cwd, name: 'prod/app' })[0]?.prefix).toBe('prod/app')
    expect(() => nameDatabases(['a.db', 'b.db'], { cwd, name: 'x' })).toThrow('for 2 databases')
  })
})

describe('replica names', () => {
  it.each(['app', 'group/app', 'with space', 'ünï', '.', 'a=b'])(
    '%s survives the way there and back',
    (name) => {
      expect(displayName(prefixOf(name))).toBe(name)
    },
  )

  it('calls the replica at the root of a URL "."', () => {
    expect(prefixOf('.')).toBe('')
  })
})
