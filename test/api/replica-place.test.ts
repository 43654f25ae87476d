import { describe, expect, it } from 'vitest'
import { replicaPlace } from '../../src/api/replica-place.ts'

describe('the URL of a replica', () => {
  it.each([
    ['s3://bucket/app', 's3://bucket', 'app'],
    ['s3://bucket/a/b/app/', 's3://bucket/a/b', 'app'],
    [
      's3://bucket/app?region=eu-west-1&layout=ltx',
      's3://bucket?region=eu-west-1&layout=ltx',
      'app',
    ],
    ['gs://bucket/my%20app', 'gs://bucket', 'my app'],
    ['abs://account@container/app', 'abs://account@container', 'app'],
    ['file:///srv/replica/app', 'file:///srv/replica', 'app'],
    ['bucket/app', 'bucket', 'app'],
    ['./replica/app', '/here/replica', 'app'],
    ['../replica/50%/a?b', '/replica/50%', 'a?b'],
    ['/srv/app', '/srv', 'app'],
    ['/app', '/', 'app'],
  ])('%s is the replica of that name in %s: %s', (url, bucket, name) => {
    expect(replicaPlace(url, '/here')).toEqual({ bucket, name })
  })

  it.each(['s3://bucket', 's3://bucket/', 'bucket', 'file:///', '/', ''])(
    'names no replica: %j',
    (url) => {
      expect(() => replicaPlace(url, '/here')).toThrow(/names no replica/)
    },
  )
})
