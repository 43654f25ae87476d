import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startAzurite } from '../servers/azurite.ts'
import { startFakeGcs } from '../servers/fake-gcs.ts'
import { startMinio } from '../servers/s3-servers.ts'
import { describeWithServers, type ServerName } from '../servers/server-path.ts'
import { runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

interface Service {
  readonly url: string
  readonly env: Record<string, string>
  readonly bucketUrl: string
  stop(): Promise<void>
}

const SERVICES: readonly (readonly [ServerName, () => Promise<Service>])[] = [
  [
    'minio',
    async () => {
      const server = await startMinio()
      return {
        url: server.url,
        env: server.env(),
        bucketUrl: `s3://${server.bucket}/cli`,
        stop: () => server.stop(),
      }
    },
  ],
  [
    'fake-gcs-server',
    async () => {
      const server = await startFakeGcs()
      return {
        url: server.url,
        env: server.env(),
        bucketUrl: `gs://${server.bucket}/cli`,
        stop: () => server.stop(),
      }
    },
  ],
  [
    'azurite',
    async () => {
      const server = await startAzurite()
      return {
        url: server.url,
        env: server.env(),
        bucketUrl: `az://${server.container}/cli`,
        stop: () => server.stop(),
      }
    },
  ],
]

for (const [name, start] of SERVICES) {
  describeWithServers([name], `the command line on ${name}`, () => {
    const folder = scratchFolder()
    const cwd = folder.path
    let service: Service
    beforeAll(async () => {
      service = await start()
    })
    afterAll(async () => {
      await service.stop()
      folder.remove()
    })

    it('watches into it, lists it and restores from it', async () => {
      const { env, bucketUrl } = service
      const db = sampleDatabase(join(cwd, 'app.db'), 10)
      const cli = startCli(['watch', 'app.db', '-b', bucketUrl, '--json'], { cwd, env })
      await cli.line((line) => line.includes('"event":"base"'))
      addRows(db, 10)
      cli.process.kill('SIGTERM')
      expect(await cli.ended).toMatchObject({ code: 0 })

      const list = await runCli(['list', '-b', bucketUrl, '--json'], { cwd, env })
      expect(list).toMatchObject({ code: 0, stderr: '' })
      expect(JSON.parse(list.stdout)).toMatchObject({
        databases: [{ name: 'app', snapshots: 1, gaps: [] }],
      })

      const restore = await runCli(['restore', 'app', '-b', bucketUrl, '-o', 'back.db'], {
        cwd,
        env,
      })
      expect(restore).toMatchObject({ code: 0, stderr: '' })
      expect(rowsOf(join(cwd, 'back.db'))).toEqual(rowsOf(join(cwd, 'app.db')))
      expect(rowsOf(join(cwd, 'back.db'))).toHaveLength(20)
      db.close()
    })

    it('says that a bucket does not exist, with 4', async () => {
      const { env, bucketUrl } = service
      const url = bucketUrl.replace(/\/\/[^/]+/, '//no-such-container-here')
      const { code, stderr } = await runCli(['list', '-b', url], { cwd, env })
      expect(code).toBe(4)
      expect(stderr).toMatch(/^error: .*no-such-container-here.*\n {2}try: .+\n$/)
    })

    if (name === 'minio') {
      it('takes a bare bucket name, and --endpoint over the environment', async () => {
        const { url, bucketUrl } = service
        const bare = bucketUrl.replace('s3://', '')
        const env = { ...service.env, AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9' }
        const { code, stdout } = await runCli(['list', '-b', bare, '--endpoint', url], { cwd, env })
        expect(code).toBe(0)
        expect(stdout).toContain('app ')
      })
    }
  })
}
