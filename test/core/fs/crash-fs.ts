import { basename, dirname } from 'node:path'
import type { DurableFs, DurableHandle, DurableStats } from '../../../src/core/fs/index.ts'

interface FileNode {
  readonly kind: 'file'
  bytes: string
  flushed: string
}
interface DirNode {
  readonly kind: 'dir'
  entries: Map<string, Node>
  flushed: Map<string, Node>
}
type Node = FileNode | DirNode

export class PowerFailure extends Error {}

/**
 * A file system that forgets. Names and bytes are durable only once their folder or file was
 * flushed; what is not may survive all the same, so both ends are looked at after a power failure.
 */
export class CrashFs implements DurableFs {
  readonly calls: string[] = []
  readonly #root: DirNode = newDir()
  /** Calls left before the power fails. */
  readonly #limit: number

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit
  }

  async create(path: string): Promise<DurableHandle> {
    this.#call(`create ${path}`)
    const dir = this.#dir(dirname(path))
    if (dir.entries.has(basename(path))) throw errno('EEXIST')
    const file: FileNode = { kind: 'file', bytes: '', flushed: '' }
    dir.entries.set(basename(path), file)
    return this.#handle(path, file)
  }

  async openDir(path: string): Promise<DurableHandle> {
    return this.#handle(path, this.#dir(path))
  }

  async mkdir(path: string): Promise<void> {
    this.#call(`mkdir ${path}`)
    const parent = this.#dir(dirname(path))
    if (parent.entries.has(basename(path))) throw errno('EEXIST')
    parent.entries.set(basename(path), newDir())
  }

  async link(from: string, to: string): Promise<void> {
    this.#call(`link ${to}`)
    const node = this.#find(from)
    const dir = this.#dir(dirname(to))
    if (dir.entries.has(basename(to))) throw errno('EEXIST')
    if (node === undefined) throw errno('ENOENT')
    dir.entries.set(basename(to), node)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call(`rename ${to}`)
    const node = this.#find(from)
    const dir = this.#dir(dirname(to))
    if (node === undefined) throw errno('ENOENT')
    this.#dir(dirname(from)).entries.delete(basename(from))
    dir.entries.set(basename(to), node)
  }

  async unlink(path: string): Promise<void> {
    this.#call(`unlink ${path}`)
    if (!this.#dir(dirname(path)).entries.delete(basename(path))) throw errno('ENOENT')
  }

  /** What is under this name after the power failed: with everything unflushed lost, or with all names kept and only the bytes lost. */
  afterCrash(path: string, kept: 'flushed' | 'names'): string | undefined {
    let node: Node | undefined = this.#root
    for (const name of path.split('/').slice(1)) {
      if (node?.kind !== 'dir') return undefined
      node = (kept === 'flushed' ? node.flushed : node.entries).get(name)
    }
    return node?.kind === 'file' ? node.flushed : undefined
  }

  #handle(path: string, node: Node): DurableHandle {
    return {
      write: async (bytes, offset, length) => {
        this.#call(`write ${path}`)
        // Short, as write(2) may be.
        const bytesWritten = Math.min(length, 3)
        const text = new TextDecoder().decode(bytes.subarray(offset, offset + bytesWritten))
        if (node.kind === 'file') node.bytes += text
        return { bytesWritten }
      },
      sync: async () => {
        this.#call(`fsync ${path}`)
        if (node.kind === 'file') node.flushed = node.bytes
        else node.flushed = new Map(node.entries)
      },
      close: async () => this.#call(`close ${path}`),
      utimes: async () => this.#call(`utimes ${path}`),
      chmod: async () => this.#call(`chmod ${path}`),
      stat: async () => stats(node),
    }
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const name of path.split('/').slice(1)) {
      node = node?.kind === 'dir' ? node.entries.get(name) : undefined
    }
    return node
  }

  #dir(path: string): DirNode {
    const node = path === '/' ? this.#root : this.#find(path)
    if (node === undefined) throw errno('ENOENT')
    if (node.kind !== 'dir') throw errno('ENOTDIR')
    return node
  }

  #call(call: string): void {
    if (this.calls.length >= this.#limit) throw new PowerFailure()
    this.calls.push(call)
  }
}

function newDir(): DirNode {
  return { kind: 'dir', entries: new Map(), flushed: new Map() }
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code })
}

function stats(node: Node): DurableStats {
  const size = node.kind === 'file' ? BigInt(node.bytes.length) : 0n
  return { dev: 0n, ino: 0n, size, mtimeNs: 0n, birthtimeNs: 0n }
}
