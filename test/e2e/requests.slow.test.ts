import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { describeWithServers } from '../servers/server-path.ts'
import { runJson } from '../support/e2e-cli.ts'
import { E2eFolder } from '../support/e2e-folder.ts'
import { type RequestLog, startRequestLog } from '../support/e2e-request-log.ts'
import { AZURITE, FAKE_GCS, type HttpStore, MINIO } from '../support/e2e-stores.ts'
import { Watcher } from '../support/e2e-watcher.ts'

const QUIET_MS = 10_000
const LOAD_MS = 10_000
const MERGE_MS = 3000
const GET_DELAY_MS = 30

for (const kind of [MINIO, FAKE_GCS, AZURITE]) {
  describeWithServers(kind.needs, `requests to ${kind.name}`, () => {
    let store: HttpStore
    let log: RequestLog
    let folder: E2eFolder
    let watcher: Watcher | undefined

    beforeAll(async () => {
      store = await kind.start()
      log = await startRequestLog(store.endpoint, kind.dialect, GET_DELAY_MS)
    })
    afterAll(async () => {
      await log?.close()
      await store?.stop()
    })
    beforeEach(() => {
      folder = new E2eFolder()
    })
    afterEach(async () => {
      await watcher?.dispose()
      await folder.dispose()
    })

    const watch = async (names: readonly string[], ...flags: string[]) => {
      for (const name of names) folder.create(name)
      const files = names.map((name) => `${name}.db`)
      const where = { cwd: folder.path, env: store.env(log.url) }
      watcher = new Watcher([...files, '-b', store.url, ...flags], where)
      await watcher.started(names)
      return watcher
    }

    /** The store is also tried out at the start, beside the first uploads: that is over when it is quiet. */
    const startedUp = async () => {
      for (let before = -1; before !== log.total(); await delay(1000)) before = log.total()
    }

    // What the engine does is the same for every store: the slow cases run on one.
    if (kind === MINIO) {
      it(`none in ${QUIET_MS / 1000} s for ten idle databases`, async () => {
        log.clear()
        await watch(Array.from({ length: 10 }, (_, i) => `idle-${i}`))
        expect(log.total(), 'inconclusive: the proxy was not used').toBeGreaterThanOrEqual(10)
        await startedUp()
        log.clear()
        await delay(QUIET_MS)
        expect(log.counts()).toEqual({})
        expect(watcher?.isRunning).toBe(true)
      })

      it('one put a second, and a merge that reads each file once, at 100 commits a second', async () => {
        // Without a burst: what is saved up in a pause is spent first, and then the pace is the same.
        await watch(['load'], '--levels', `${MERGE_MS / 1000}s`, '--sync-burst', '1')
        await startedUp()
        log.clear()
        folder.startWriter('load', 100)
        await folder.grown('load', 0)
        await delay(LOAD_MS)
        const { put = 0, get = 0, list = 0, ...others } = log.counts()
        const rows = folder.rows('load')
        await folder.stopWriter('load')
        expect(rows, 'inconclusive: hardly any load').toBeGreaterThan(500)
        expect(put).toBeGreaterThan(3)
        expect(put).toBeLessThanOrEqual(LOAD_MS / 1000 + 5 + LOAD_MS / MERGE_MS)
        expect(get, 'inconclusive: nothing was merged').toBeGreaterThan(1)
        expect(get).toBeLessThanOrEqual(put)
        // After a merge into the topmost level, here the only one, the replica is looked at.
        expect(list).toBeLessThanOrEqual(LOAD_MS / MERGE_MS + 1)
        expect(others).toEqual({})
      })
    }

    it('a restore of 13 files or more lists once and reads in parallel', async () => {
      const running = await watch(['app'], '--sync-interval', '100ms', '--levels', 'none')
      folder.startWriter('app', 200)
      await running.until('20 files', () => running.acknowledged('app') >= 20n)
      await folder.stopWriter('app')
      expect(await running.stop()).toMatchObject({ code: 0 })
      const source = folder.source('app')

      log.clear()
      const latest = await folder.restore('app', ['-b', store.url], { env: store.env(log.url) })
      expect(latest.all === source.all).toBe(true)
      expect(latest.filesRead).toBeGreaterThanOrEqual(13)
      const { list, get = 0, ...others } = log.counts()
      expect(list).toBe(1)
      expect(get).toBeGreaterThanOrEqual(13)
      expect(get).toBeLessThanOrEqual(latest.filesRead)
      expect(others).toEqual({})
      expect(log.mostAtOnce('get')).toBeGreaterThanOrEqual(4)
    })

    // S3 lists no metadata, so the time of a state is read from the header of its file.
    const headers = kind === MINIO ? 'the headers of at most three files each' : 'no object'
    it(`a list of databases asks for ${headers}`, async () => {
      const running = await watch(['shown'])
      expect(await running.stop()).toMatchObject({ code: 0 })
      log.clear()
      const { databases } = await runJson<{ readonly databases: readonly unknown[] }>(
        ['list', '-b', store.url],
        { cwd: folder.path, env: store.env(log.url) },
      )
      const { list, get = 0, ...others } = log.counts()
      expect(list).toBeGreaterThan(0)
      if (kind === MINIO) {
        expect(get).toBeGreaterThan(0)
        expect(get).toBeLessThanOrEqual(3 * databases.length)
      } else expect(get).toBe(0)
      expect(others).toEqual({})
    })
  })
}

describe('the proxy that counts', () => {
  it('sees each request and how many run at once', async () => {
    const behind = await startRequestLog('http://127.0.0.1:9', MINIO.dialect)
    const log = await startRequestLog(behind.url, MINIO.dialect, GET_DELAY_MS)
    const ask = (path: string) => fetch(`${log.url}${path}`).catch(() => undefined)
    await Promise.all(['/b/1', '/b/2', '/b/3', '/b?list-type=2', '/'].map(ask))
    expect(log.counts()).toEqual({ get: 3, list: 1, other: 1 })
    expect(log.mostAtOnce('get')).toBe(3)
    log.clear()
    expect(log.total()).toBe(0)
    await log.close()
    await behind.close()
  })
})
