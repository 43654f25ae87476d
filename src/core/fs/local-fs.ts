import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs'
import { statfs } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { DurableFs, DurableHandle } from './durable-fs.ts'

/** Longer writes go through the thread pool, in bytes: copying them into the page cache takes longer than the way there. */
const SHORT_WRITE_BYTES = 64 << 10

/**
 * File systems on a disk of this machine, or in its memory, by their number in statfs(2). Calls that
 * do not wait for the disk take microseconds there. On a network file system, or one in a process
 * (FUSE), each of them may hang.
 */
const LOCAL_TYPES: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x2fc12fc1, // ZFS
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
  0x794c7630, // overlayfs
])

/** Is the folder on a file system whose calls do not wait for another machine or process? This one may. */
export async function isOnLocalDisk(path: string): Promise<boolean> {
  try {
    return LOCAL_TYPES.has((await statfs(path)).type)
  } catch {
    return false
  }
}

const writeLong = promisify(write)
const flush = promisify(fsync)

/**
 * For a local disk: only flushes and long writes use the thread pool. For the others, the way to a
 * thread and back costs ten times as much as the call.
 */
export const localFs: DurableFs = {
  create: async (path, mode) => handleOf(openSync(path, 'wx', mode)),
  openDir: async (path) => handleOf(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)),
  mkdir: async (path, mode) => {
    mkdirSync(path, { mode })
  },
  link: async (from, to) => linkSync(from, to),
  rename: async (from, to) => renameSync(from, to),
  unlink: async (path) => unlinkSync(path),
}

function handleOf(fd: number): DurableHandle {
  return {
    write: async (bytes, offset, length) =>
      length <= SHORT_WRITE_BYTES
        ? { bytesWritten: writeSync(fd, bytes, offset, length) }
        : await writeLong(fd, bytes, offset, length),
    utimes: async (atime, mtime) => futimesSync(fd, atime, mtime),
    chmod: async (mode) => fchmodSync(fd, mode),
    stat: async (options) => fstatSync(fd, options),
    sync: () => flush(fd),
    close: async () => closeSync(fd),
  }
}
