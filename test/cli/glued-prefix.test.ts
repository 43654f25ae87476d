import { describe, expect, it } from 'vitest'
import { gluedPrefix } from '../../src/cli/commands/concatenated-prefix.ts'

describe('gluedPrefix', () => {
  it.each([
    ['s3://bucket/backups', 's3://bucket', 'backups'],
    ['bucket/backups', 's3://bucket', 'backups'],
    ['s3://bucket/a/b', 's3://bucket/a', 'b'],
    ['s3://bucket/a/b?region=x', 's3://bucket/a?region=x', 'b'],
    ['tigris://bucket/my.app-1', 'tigris://bucket', 'my.app-1'],
    ['./old/backups', 'file:///work/old', 'backups'],
    ['file:///old/backups', 'file:///old', 'backups'],
  ])('%s: in %s, names that begin with %s', (text, url, glue) => {
    expect(gluedPrefix(text, '/work')).toEqual({ url, glue })
  })

  it.each([
    's3://bucket',
    'bucket',
    's3://bucket/',
    's3://bucket/backups/',
    's3://bucket/backups/?region=x',
    's3://bucket/with%20space',
    'mine://host/backups',
    '/',
  ])('%s: none', (text) => {
    expect(gluedPrefix(text, '/work')).toBeUndefined()
  })
})
