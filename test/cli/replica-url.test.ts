import { describe, expect, it } from 'vitest'
import { parseReplicaUrl } from '../../src/cli/args/replica-url.ts'
import { UsageError } from '../../src/cli/args/usage-error.ts'

describe('parseReplicaUrl', () => {
  it.each([
    ['s3://bucket/prefix', 's3://bucket/prefix'],
    ['S3://bucket', 's3://bucket'],
    ['tigris://bucket/a/b', 'tigris://bucket/a/b'],
    ['gs://bucket_with_underscores', 'gs://bucket_with_underscores'],
    ['az://container/p?account=x', 'az://container/p?account=x'],
    ['abs://account@container/p', 'abs://account@container/p'],
    ['oss://somewhere', 'oss://somewhere'],
    ['file:///var/replica', 'file:///var/replica'],
    ['/var/replica', 'file:///var/replica'],
    ['/with space/r%', 'file:///with%20space/r%25'],
    ['./replica', 'file:///home/me/replica'],
    ['../replica/', 'file:///home/replica'],
    ['.', 'file:///home/me'],
    ['my-bucket', 's3://my-bucket'],
    ['my-bucket/some/prefix', 's3://my-bucket/some/prefix'],
    ['my.bucket', 's3://my.bucket'],
  ])('%s means %s', (given, expected) => {
    expect(parseReplicaUrl(given, '/home/me').href).toBe(expected)
  })

  it.each([
    ['s3:bucket', 'is not a URL'],
    ['file://replica/app', 'names a host'],
    ['Replica', 'neither a replica URL nor a bucket'],
    ['x', 'neither a replica URL nor a bucket'],
    ['~/replica', 'neither a replica URL nor a bucket'],
    ['my bucket', 'neither a replica URL nor a bucket'],
    ['s3://bucket/tenant#1', 'has a #'],
    ['file:///var/tenant#1', 'has a #'],
    ['my-bucket/tenant#1', 'has a #'],
  ])('refuses %s', (given, message) => {
    expect(() => parseReplicaUrl(given, '/home/me')).toThrow(UsageError)
    expect(() => parseReplicaUrl(given, '/home/me')).toThrow(message)
  })

  it.each([
    's3://AKIAEXAMPLE:hunter2@bucket/p',
    's3://AKIAEXAMPLE@bucket/p',
    'az://account:hunter2@container',
    'weird://user:hunter2@[bad',
  ])('refuses credentials and does not repeat them: %s', (given) => {
    let error: unknown
    try {
      parseReplicaUrl(given, '/')
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(UsageError)
    const { message, hint } = error as UsageError
    expect(`${message} ${hint}`).not.toMatch(/hunter2|AKIAEXAMPLE/)
  })
})
