import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { S3Server } from '../../test/servers/s3-servers.ts'

/** Where the replicas of one run are: a folder, or a prefix of a bucket of MinIO on this machine. */
export interface Place {
  readonly kind: 'folder' | 'MinIO'
  /** What `walsync -b` takes. */
  readonly url: string
  /** Environment of a client. */
  readonly env: Readonly<Record<string, string>>
  /** `replica:` of Litestream's configuration for one database, as JSON, which is YAML. */
  litestreamReplica(name: string): object
  /** Objects of one level of a replica, as they are on this machine's disk. */
  levelFolder(name: string, level: number): string
}

export function folderPlace(path: string): Place {
  mkdirSync(path, { recursive: true })
  return {
    kind: 'folder',
    url: path,
    env: {},
    litestreamReplica: (name) => ({ type: 'file', path: join(path, name) }),
    levelFolder: (name, level) => join(path, name, 'ltx', String(level)),
  }
}

/** MinIO keeps each object of its one drive in a folder of the object's name. */
export function minioPlace(server: S3Server, prefix: string): Place {
  const root = join(server.directory, 'data', server.bucket, prefix)
  return {
    kind: 'MinIO',
    url: `s3://${server.bucket}/${prefix}`,
    env: server.env(),
    litestreamReplica: (name) => ({
      type: 's3',
      bucket: server.bucket,
      path: `${prefix}/${name}`,
      endpoint: server.url,
      region: 'us-east-1',
      'force-path-style': true,
      'access-key-id': server.accessKeyId,
      'secret-access-key': server.secretAccessKey,
    }),
    levelFolder: (name, level) => join(root, name, String(level).padStart(4, '0')),
  }
}

/** Paths of the finished objects of some levels. */
export function objectsOf(place: Place, name: string, levels: readonly number[]): string[] {
  return levels.flatMap((level) => {
    const folder = place.levelFolder(name, level)
    if (!existsSync(folder)) return []
    return readdirSync(folder)
      .filter((file) => file.endsWith('.ltx'))
      .map((file) => join(folder, file))
  })
}
