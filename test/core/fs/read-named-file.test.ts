import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readNamedFile } from '../../../src/core/fs/read-named-file.ts'

const SHORT = { maxBytes: 1000, writerMs: 50, silenceMs: 50 }

let folder: string
let pipe: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-read-'))
  pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

describe('readNamedFile', () => {
  it('reads a regular file, also an empty one.', async () => {
    const path = join(folder, 'file')
    writeFileSync(path, 'text')
    expect(String(await readNamedFile(path, SHORT))).toBe('text')
    writeFileSync(path, '')
    expect(String(await readNamedFile(path, SHORT))).toBe('')
  })

  it('gives a pipe up that nobody writes into.', async () => {
    await expect(readNamedFile(pipe, SHORT)).rejects.toMatchObject({
      code: 'EPIPE',
      message: 'is a pipe into which nothing is written',
    })
  })

  it('gives a pipe up whose writer is silent.', async () => {
    const reading = readNamedFile(pipe, { ...SHORT, writerMs: 10_000 })
    const writer = createWriteStream(pipe)
    await once(writer, 'open')
    await expect(reading).rejects.toMatchObject({ code: 'EPIPE' })
    writer.destroy()
  })

  it('reads a pipe whose writer comes later and pauses, to its end.', async () => {
    const reading = readNamedFile(pipe, { maxBytes: 1000 })
    const writer = createWriteStream(pipe)
    writer.write('one ')
    await new Promise((done) => setTimeout(done, 60))
    writer.end('two')
    expect(String(await reading)).toBe('one two')
  })

  it('refuses a folder, a socket, and a file without an end.', async () => {
    await expect(readNamedFile(folder, SHORT)).rejects.toMatchObject({ code: 'EISDIR' })
    await expect(readNamedFile('/dev/zero', SHORT)).rejects.toMatchObject({ code: 'EFBIG' })
    const server = createServer().listen(join(folder, 'socket'))
    await once(server, 'listening')
    await expect(readNamedFile(join(folder, 'socket'), SHORT)).rejects.toMatchObject({
      code: 'ENXIO',
    })
    server.close()
  })
})
