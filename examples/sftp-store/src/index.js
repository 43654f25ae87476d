import { readFile } from 'node:fs/promises'
import { DriverStore, StoreError } from 'walsync/store'
import { Connection } from './connection.js'
import { SftpDriver } from './sftp-driver.js'

export { Connection } from './connection.js'
export { SftpDriver } from './sftp-driver.js'

/** `sftp://host:22/absolute/folder` @type {import('walsync/store').ObjectStoreProvider} */
export const provider = {
  apiVersion: 2,
  name: 'walsync-store-sftp',
  schemes: ['sftp'],
  layout: 'ltx',
  validate: (url, env) => void settingsOf(url, env),
  async open(url, env) {
    const { root, keyFile, ...login } = settingsOf(url, env)
    const privateKey = keyFile === undefined ? undefined : await readKey(keyFile)
    return new DriverStore(new SftpDriver(new Connection({ ...login, privateKey }), root))
  },
}

/** Where, and how to log in. The server's key is always checked: nobody asks a daemon whether to trust it. */
function settingsOf(url, env) {
  const root = decodeURIComponent(url.pathname).replace(/\/+$/, '')
  if (url.hostname === '' || root === '') {
    throw refusal(
      `sftp://${url.host}${url.pathname} names no folder on a host.`,
      'Write sftp://host/absolute/folder.',
    )
  }
  const need = (name, what) => {
    if (env[name]) return env[name]
    throw refusal(`${name} is not set.`, `Set it to ${what}.`)
  }
  const hostKey = need('SFTP_HOST_KEY', "the server's SHA256:… of ssh-keygen -lf")
  const username = need('SFTP_USER', 'the name to log in with')
  const { SFTP_KEY_FILE: keyFile, SFTP_PASSWORD: password } = env
  if (!keyFile && !password) need('SFTP_KEY_FILE', 'the file of a private key')
  return {
    host: url.hostname,
    port: Number(url.port || 22),
    root,
    username,
    hostKey,
    keyFile,
    password,
  }
}

async function readKey(path) {
  try {
    return await readFile(path)
  } catch (error) {
    throw refusal(`The key file ${path} cannot be read: ${error.code}.`, 'Check SFTP_KEY_FILE.')
  }
}

function refusal(message, hint) {
  return new StoreError('InvalidArgument', message, { op: 'open', hint })
}
