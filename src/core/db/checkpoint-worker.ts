import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { parentPort } from 'node:worker_threads'
import type { CheckpointReply, CheckpointRequest } from './checkpointer.ts'
import { connect } from './connect.ts'

interface Connections {
  readonly writer: DatabaseSync
  readonly checkpointer: DatabaseSync
  readonly passive: StatementSync
}

/** Connections kept open at once; the longest unused are closed. */
const MAX_OPEN = 16
/** Longest time to hold a write lock, whatever happens to the main thread, in milliseconds. */
const MAX_LOCK_MS = 1000

const open = new Map<string, Connections>()
const unlockTimers = new Map<string, NodeJS.Timeout>()
const port = parentPort
if (port === null) throw new Error('checkpoint-worker runs as a worker thread')

port.on('message', (request: CheckpointRequest) => {
  let reply: CheckpointReply
  try {
    reply = perform(request)
  } catch (error) {
    const { message, errcode } = error as Error & { errcode?: number }
    reply = { error: message, busy: ((errcode ?? 0) & 0xff) === 5 }
  }
  port.postMessage(reply)
})

function perform(request: CheckpointRequest): CheckpointReply {
  switch (request.op) {
    case 'ready':
      connections(request.path)
      return { busy: false }
    case 'passive':
      return { busy: !checkpoint(request.path, request.timeoutMs) }
    case 'lock':
      return { busy: !lock(request.path, request.timeoutMs) }
    case 'unlock':
      unlock(request.path)
      return { busy: false }
    case 'forget':
      forget(request.path)
      return { busy: false }
  }
}

/** Waits for a checkpoint that the application itself runs, outside its transactions. */
function checkpoint(path: string, timeoutMs: number): boolean {
  const { passive } = connections(path)
  return tryUntil(timeoutMs, 1, () => (passive.get() as { busy: number }).busy === 0)
}

/** Retries often, because a busy writer leaves the lock free only for microseconds. */
function lock(path: string, timeoutMs: number): boolean {
  const { writer } = connections(path)
  const locked = tryUntil(timeoutMs, 0.2, () => {
    try {
      writer.exec('BEGIN IMMEDIATE')
      return true
    } catch (error) {
      if ((((error as { errcode?: number }).errcode ?? 0) & 0xff) !== 5) throw error
      return false
    }
  })
  const release = () => unlock(path)
  if (locked) unlockTimers.set(path, setTimeout(release, MAX_LOCK_MS))
  return locked
}

const pause = new Int32Array(new SharedArrayBuffer(4))

function tryUntil(timeoutMs: number, pauseMs: number, attempt: () => boolean): boolean {
  const deadline = performance.now() + timeoutMs
  while (!attempt()) {
    if (performance.now() >= deadline) return false
    Atomics.wait(pause, 0, 0, pauseMs)
  }
  return true
}

function unlock(path: string): void {
  clearTimeout(unlockTimers.get(path))
  unlockTimers.delete(path)
  const writer = open.get(path)?.writer
  if (writer?.isTransaction) writer.exec('ROLLBACK')
}

function connections(path: string): Connections {
  const known = open.get(path)
  if (known !== undefined) {
    open.delete(path)
    open.set(path, known)
    return known
  }
  if (open.size >= MAX_OPEN) forget(open.keys().next().value!)
  const writer = openQuiet(path)
  let checkpointer: DatabaseSync | undefined
  try {
    checkpointer = openQuiet(path)
    const passive = checkpointer.prepare('PRAGMA wal_checkpoint(PASSIVE)')
    const made = { writer, checkpointer, passive }
    open.set(path, made)
    return made
  } catch (error) {
    // Left to the garbage collector, they could be the last to close, and copy a foreign log.
    checkpointer?.close()
    writer.close()
    throw error
  }
}

/** Does nothing on its own, and has the log open already. */
function openQuiet(path: string): DatabaseSync {
  const db = connect(path, 0)
  try {
    db.exec('PRAGMA cache_size = 16; PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0')
    db.exec('PRAGMA schema_version')
  } catch (error) {
    db.close()
    throw error
  }
  return db
}

/** Closing is safe here: the read guard of the main thread keeps its connections open. */
function forget(path: string): void {
  unlock(path)
  const known = open.get(path)
  open.delete(path)
  known?.writer.close()
  known?.checkpointer.close()
}
