import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../src/cli/composition/backend.ts'
import { createContainer } from '../../src/cli/composition/container.ts'
import { replicaStore, type Surroundings } from '../../src/cli/composition/open-store.ts'
import { TOKENS } from '../../src/cli/composition/tokens.ts'
import type { ObjectStore, ObjectStoreProvider } from '../../src/core/store/index.ts'
import { runCli, scratchFolder } from './run-cli.ts'

const folder = scratchFolder()
afterAll(() => folder.remove())
const { signal } = new AbortController()

/** What `open` of the plugin `spy://` was called with. */
const opened: { url: string; options: Record<string, unknown> }[] = []
const closed: string[] = []

const spy: Backend = {
  name: 'spy',
  schemes: ['spy'],
  load: async (): Promise<ObjectStoreProvider> => ({
    apiVersion: 2,
    name: 'spy',
    schemes: ['spy'],
    layout: 'hex',
    async open(url, env, { signal: _signal, ...options }) {
      opened.push({ url: url.href, options: { ...options, home: env.HOME } })
      const close = async () => void closed.push(url.host)
      return { description: url.href, close } as unknown as ObjectStore
    },
  }),
}

function compose(change: Partial<Surroundings> = {}) {
  const surroundings = { cwd: folder.path, env: { HOME: '/spy' }, ...change }
  const logger = pino({ level: 'silent' })
  return createContainer({ surroundings, logger, plugins: [spy] })
}

describe('the container', () => {
  it.each(Object.entries(TOKENS))('resolves %s', (name, token) => {
    const container = compose()
    const values =
      name === 'Backend'
        ? container.getAll(token as typeof TOKENS.Backend)
        : [container.get(token as typeof TOKENS.Logger)]
    for (const value of values) expect(value).toBeDefined()
  })

  it('binds every backend once, with the schemes of its own provider', async () => {
    const backends = compose().getAll(TOKENS.Backend)
    expect(backends.map(({ name }) => name).sort()).toEqual(['azure', 'file', 'gcs', 's3', 'spy'])
    for (const { name, schemes, load } of backends) {
      const provider = await load()
      expect({ name: provider.name, schemes: provider.schemes }).toEqual({ name, schemes })
    }
  })

  it('gives one shutdown stack to all, which closes the stores that were opened', async () => {
    const container = compose()
    const openStore = container.get(TOKENS.OpenStore)
    await openStore('spy://one', { signal, create: false })
    await openStore('spy://two', { signal, create: false })
    await container.get(TOKENS.ShutdownStack).unwind()
    expect(closed).toEqual(['two', 'one'])
  })

  it('refuses a plugin for a scheme that is taken', () => {
    const taken = { ...spy, name: 'impostor', schemes: ['mine', 's3'] }
    const surroundings = { cwd: '/', env: {} }
    const logger = pino({ level: 'silent' })
    expect(() => createContainer({ surroundings, logger, plugins: [taken] })).toThrow(
      'The plugin impostor wants the scheme s3://, which belongs to s3.',
    )
    expect(() =>
      createContainer({ surroundings, logger, plugins: [spy, { ...spy, name: 'b' }] }),
    ).toThrow('The plugin b wants the scheme spy://, which belongs to spy.')
  })
})

describe('openStore', () => {
  it('hands the URL, the environment and the flags to the backend', async () => {
    const openStore = compose({ endpoint: 'http://localhost:9', region: 'here' }).get(
      TOKENS.OpenStore,
    )
    const { layout } = await openStore('spy://bucket/p?x=1', { signal, create: true })
    expect(layout).toBe('hex')
    expect(opened.at(-1)).toEqual({
      url: 'spy://bucket/p?x=1',
      options: { endpoint: 'http://localhost:9', region: 'here', home: '/spy' },
    })
  })

  it('creates a missing folder only for a writer, and never with create=0', async () => {
    const openStore = compose().get(TOKENS.OpenStore)
    const check = async (url: string, create: boolean) =>
      (await openStore(url, { signal, create })).store.check()
    await expect(check('./new', false)).rejects.toMatchObject({ code: 'ContainerNotFound' })
    await expect(
      check(`file://${encodeURI(join(folder.path, 'new'))}?create=0`, true),
    ).rejects.toMatchObject({
      code: 'ContainerNotFound',
    })
    await check('./new', true)
    await check('./new', false)
  })

  it('warns of a bucket name that is a folder here', async () => {
    mkdirSync(join(folder.path, 'my-bucket'))
    const { stderr } = await runCli(
      [
        'list',
        '-b',
        'my-bucket',
        '--log-format',
        'json',
        '--endpoint',
        'http://127.0.0.1:9',
        '--region',
        'nowhere',
      ],
      {
        cwd: folder.path,
        env: { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_PROFILE: '' },
      },
    )
    expect(stderr).toContain(
      'is taken for an S3 bucket; for the folder of that name write ./my-bucket',
    )
  }, 120_000)

  it('gives each replica its own part of the store', async () => {
    const opened = await compose().get(TOKENS.OpenStore)('./parts', {
      signal,
      create: true,
    })
    const { store } = opened
    await replicaStore({ store }, 'app').put('k', new Uint8Array(1))
    expect(await store.head('app/k')).toMatchObject({ size: 1 })
    expect(replicaStore({ store }, '')).toBe(store)
  })
})

describe('lazy backends', () => {
  it('no SDK is loaded for a folder', async () => {
    const spyLoader = `import { registerHooks } from 'node:module'
      registerHooks({ resolve(specifier, context, next) {
        if (/^(@aws-sdk|@azure|@google-cloud)\\//.test(specifier)) console.error('loaded ' + specifier)
        return next(specifier, context)
      } })`
    const node = ['--import', `data:text/javascript,${encodeURIComponent(spyLoader)}`]
    mkdirSync(join(folder.path, 'plain'))
    const plain = await runCli(['list', '-b', './plain'], { cwd: folder.path, node })
    expect(plain).toMatchObject({ code: 0, stderr: '' })
    const s3 = await runCli(
      ['list', '-b', 's3://bucket', '--region', '', '--endpoint', 'http://127.0.0.1:9'],
      { cwd: folder.path, node },
    )
    expect(s3.code).toBe(2)
    const missing = await runCli(
      ['list', '-b', 's3://bucket?region=here', '--endpoint', 'http://127.0.0.1:9'],
      {
        cwd: folder.path,
        node,
        env: { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' },
      },
    )
    expect(missing.code).toBe(4)
    expect(missing.stderr).toContain('loaded @aws-sdk/client-s3')
  }, 120_000)
})
