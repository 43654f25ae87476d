import { constants } from 'node:fs'
import { link, mkdir, open, rename, unlink } from 'node:fs/promises'

/** The part of a file handle that durable writes use. */
export interface DurableHandle {
  write(bytes: Uint8Array, offset: number, length: number): Promise<{ bytesWritten: number }>
  utimes(atime: number, mtime: number): Promise<void>
  chmod(mode: number): Promise<void>
  stat(options: { bigint: true }): Promise<DurableStats>
  sync(): Promise<void>
  close(): Promise<void>
}

export interface DurableStats {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly birthtimeNs: bigint
}

/** The file system calls of a durable write, replaceable to record their order or to fail them. */
export interface DurableFs {
  /** Opens for writing; fails if the name exists (`O_CREAT | O_EXCL`). */
  create(path: string, mode: number): Promise<DurableHandle>
  openDir(path: string): Promise<DurableHandle>
  mkdir(path: string, mode: number): Promise<void>
  link(from: string, to: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
}

export const nodeFs: DurableFs = {
  create: (path, mode) => open(path, 'wx', mode),
  openDir: (path) => open(path, constants.O_RDONLY | constants.O_DIRECTORY),
  mkdir: async (path, mode) => {
    await mkdir(path, { mode })
  },
  link,
  rename,
  unlink,
}
