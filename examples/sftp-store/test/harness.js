import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PrefixedStore } from 'walsync/store'
import { provider } from '../src/index.js'
import { startSshd } from './sshd.js'

/** A folder for each case of the suite, so that the bare store is tested; a prefix below that. */
export async function sftpHarness() {
  const base = mkdtempSync(join(tmpdir(), 'walsync-store-sftp-'))
  const server = await startSshd(base)
  const data = { url: server.url, env: server.env, base }
  return {
    name: 'walsync-store-sftp',
    limits: { bigObjectBytes: 16 * 1024 * 1024, manyKeys: 300, pageSize: 32, raceRounds: 5 },
    child: { module: import.meta.url, data },
    open: (prefix) => openStore(prefix, data),
    openMissingContainer: () => open(`${base}/no-such-folder`, data),
    openRefused: () =>
      open(base, { ...data, env: { ...server.env, SFTP_KEY_FILE: server.strangersKey } }),
    async residue(prefix) {
      try {
        return readdirSync(join(folderOf(prefix, base).root, '.walsync-tmp'))
      } catch {
        return []
      }
    },
    async close() {
      server.stop()
      rmSync(base, { recursive: true, force: true })
    },
  }
}

/** Also called by the suite's child processes. */
export async function openStore(prefix, data) {
  const { root, below } = folderOf(prefix, data.base)
  mkdirSync(root, { recursive: true })
  const store = await open(root, data)
  return below === '' ? store : new PrefixedStore(store, below)
}

async function open(root, { url, env }) {
  return await provider.open(new URL(url + root), env, {})
}

function folderOf(prefix, base) {
  const [run, id, ...below] = prefix.split('/')
  return { root: join(base, `${run}-${id}`), below: below.join('/') }
}
