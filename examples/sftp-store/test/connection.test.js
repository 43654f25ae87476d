import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { readAll } from 'walsync/store'
import { provider } from '../src/index.js'
import { RemoteFile } from '../src/remote-file.js'
import { startSshd } from './sshd.js'

const BYTES = 1024 * 1024

describe('a connection that breaks', () => {
  let base
  let server
  let link
  let store
  let folder
  let count = 0
  before(async () => {
    base = mkdtempSync(join(tmpdir(), 'walsync-store-sftp-'))
    server = await startSshd(base)
    link = await startLink(Number(new URL(server.url).port))
  })
  beforeEach(async () => {
    folder = join(base, `case-${++count}`)
    mkdirSync(folder)
    store = await provider.open(new URL(`sftp://127.0.0.1:${link.port}${folder}`), server.env)
  })
  afterEach(() => store.close())
  after(() => {
    link.close()
    server.stop()
    rmSync(base, { recursive: true, force: true })
  })

  it('never reads on in the file that has the same handle on the next connection', async () => {
    await store.put('a', filled('a'))
    await store.put('b', filled('b'))
    const chunks = (await store.get('a')).body[Symbol.asyncIterator]()
    assert.equal((await chunks.next()).value.at(-1), code('a'))
    await link.cut()
    // Opens the first file of a new connection and leaves it open.
    const other = (await store.get('b')).body[Symbol.asyncIterator]()
    assert.equal((await other.next()).value.at(-1), code('b'))
    await assert.rejects(chunks.next(), { name: 'StoreError', code: 'Unavailable' })
    // Nor is the other file closed.
    while (!(await other.next()).done);
  })

  it('never writes on in the file that has the same handle on the next connection', async () => {
    const [a, b] = [new Source('a'), new Source('b')]
    const putA = store.put('a', a)
    putA.catch(() => {})
    await a.send()
    await link.cut()
    const putB = store.put('b', b)
    await b.send()
    await a.send().catch(() => {})
    a.end()
    await assert.rejects(putA, { code: 'Unavailable', outcome: 'unknown' })
    await b.send()
    b.end()
    assert.equal((await putB).size, 2 * BYTES)
    const stored = await readAll((await store.get('b')).body)
    assert.ok(Buffer.from(stored).equals(Buffer.concat([filled('b'), filled('b')])))
    assert.equal(await store.head('a'), undefined)
  })

  it('says that the outcome of a put is unknown if its answer was lost', async () => {
    await store.check()
    link.hold()
    const put = store.put('a', filled('a'))
    put.catch(() => {})
    await link.cut()
    await assert.rejects(put, { code: 'Unavailable', retryable: true, outcome: 'unknown' })
    await store.put('a', filled('a'))
  })

  it('connects again when the server ends SFTP but not the connection', async () => {
    await store.put('a', filled('a'))
    process.kill(lastDescendant(server.pid), 'SIGKILL')
    await assert.rejects(store.head('a', { signal: AbortSignal.timeout(10_000) }), {
      code: 'Unavailable',
    })
    assert.equal((await store.head('a', { signal: AbortSignal.timeout(10_000) })).size, BYTES)
  })

  it('closes the file of a body that nobody reads', async () => {
    await store.put('a', filled('a'))
    const abort = new AbortController()
    await store.get('a', { signal: abort.signal })
    assert.equal(openFiles(), 1)
    abort.abort()
    while (openFiles() > 0) await delay(10)
  })

  it('closes a file only when its last write was answered', async () => {
    const sent = []
    const answer = Promise.withResolvers()
    const file = new RemoteFile('the handle', (method, handle) => {
      sent.push(`${method} ${handle}`)
      return answer.promise
    })
    const abort = new AbortController()
    const write = file.request(abort.signal, 'write')
    abort.abort()
    await assert.rejects(write, { name: 'AbortError' })
    file.closeLater()
    file.closeLater()
    await delay(1)
    assert.deepEqual(sent, ['write the handle'])
    answer.resolve()
    await delay(1)
    assert.deepEqual(sent, ['write the handle', 'close the handle'])
  })

  /** How many files of the case the server has open. */
  function openFiles() {
    const descriptors = `/proc/${lastDescendant(server.pid)}/fd`
    return readdirSync(descriptors).filter((fd) =>
      targetOf(`${descriptors}/${fd}`).startsWith(folder),
    ).length
  }
})

function targetOf(link) {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}

/** A body that is sent piece by piece. */
class Source {
  #pieces = []
  #wake = Promise.withResolvers()
  #letter

  constructor(letter) {
    this.#letter = letter
  }

  /** Resolves when the piece has been taken and the next one is asked for. */
  async send() {
    const taken = Promise.withResolvers()
    this.#pieces.push(taken)
    this.#wake.resolve()
    await taken.promise
  }

  end() {
    this.#pieces.push(undefined)
    this.#wake.resolve()
  }

  async *open() {
    for (;;) {
      await this.#wake.promise
      const piece = this.#pieces.shift()
      if (this.#pieces.length === 0) this.#wake = Promise.withResolvers()
      if (piece === undefined) return
      try {
        yield filled(this.#letter)
      } finally {
        piece.resolve()
      }
    }
  }
}

function filled(letter) {
  return Buffer.alloc(BYTES, letter)
}

function code(letter) {
  return letter.charCodeAt(0)
}

/** The process at the end of a chain: sshd, its session, and the one that serves SFTP. */
function lastDescendant(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return children === '' ? pid : lastDescendant(Number(children.split(' ').at(-1)))
}

/** A way to the server that can be cut. */
async function startLink(port) {
  const sockets = new Set()
  let held = false
  const listener = createServer((near) => {
    held = false
    const far = connect(port, '127.0.0.1')
    near.pipe(far)
    far.on('data', (data) => held || near.write(data))
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
  })
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve))
  return {
    port: listener.address().port,
    /** Loses what the server sends from now on, until somebody connects again. */
    hold() {
      held = true
    },
    /** Ends every connection, and waits until both sides have noticed. */
    async cut() {
      const gone = [...sockets].map((socket) => new Promise((done) => socket.once('close', done)))
      for (const socket of sockets) socket.destroy()
      await Promise.all(gone)
      await delay(100)
    },
    close() {
      listener.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
