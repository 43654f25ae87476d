import { describe, expect, it } from 'vitest'
import { concatenatedPrefix } from '../../src/cli/commands/other-formats.ts'

describe('concatenatedPrefix', () => {
  it.each([
    ['s3://bucket/backups', 's3://bucket', 'backups'],
    ['bucket/backups', 's3://bucket', 'backups'],
    ['s3://bucket/a/b', 's3://bucket/a', 'b'],
    ['s3://bucket/a/b?region=x', 's3://bucket/a?region=x', 'b'],
    ['tigris://bucket/my.app-1', 'tigris://bucket', 'my.app-1'],
    ['./old/backups', 'file:///work/old', 'backups'],
    ['file:///old/backups', 'file:///old', 'backups'],
  ])('takes %s as folders in %s that start with %s', (text, url, start) => {
    expect(concatenatedPrefix(text, '/work')).toEqual({ url, start })
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
  ])('finds no concatenated names for %s', (text) => {
    expect(concatenatedPrefix(text, '/work')).toBeUndefined()
  })
})
