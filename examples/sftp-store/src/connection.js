import { createHash } from 'node:crypto'
import ssh2 from 'ssh2'

/** One SSH connection, opened by the first call and again after it was lost. */
export class Connection {
  #settings
  /** @type {Promise<{ sftp: import('ssh2').SFTPWrapper, client: ssh2.Client, lost: AbortSignal }> | undefined} */
  #open

  constructor(settings) {
    this.#settings = settings
  }

  get description() {
    return `sftp://${this.#settings.host}:${this.#settings.port}`
  }

  /**
   * One request of the SFTP protocol, by the name of ssh2's method.
   *
   * @param {AbortSignal | undefined} signal gives up waiting; the server may still do it
   */
  async request(signal, method, ...args) {
    const { sftp, lost } = await untilAborted(this.#connected(), signal)
    const answer = new Promise((resolve, reject) => {
      sftp[method](...args, (error, value) => (error ? reject(error) : resolve(value)))
    })
    try {
      return await untilAborted(untilAborted(answer, lost), signal)
    } catch (error) {
      // A file that is opened after all must be closed, or the server runs out of them.
      if (method === 'open') answer.then((handle) => sftp.close(handle, () => {})).catch(() => {})
      throw error
    }
  }

  async close() {
    const open = this.#open
    this.#open = undefined
    const { client, closed } = (await open?.catch(() => undefined)) ?? {}
    client?.end()
    await closed
  }

  #connected() {
    this.#open ??= this.#connect().catch((error) => {
      this.#open = undefined
      throw error
    })
    return this.#open
  }

  #connect() {
    const { hostKey, ...login } = this.#settings
    const client = new ssh2.Client()
    const lost = new AbortController()
    const closed = new Promise((resolve) => client.once('close', resolve))
    return new Promise((resolve, reject) => {
      client.on('error', reject)
      client.on('close', () => {
        const error = Object.assign(new Error('the connection was lost'), {
          level: 'client-socket',
        })
        lost.abort(error)
        reject(error)
        this.#open = undefined
      })
      client.on('ready', () => {
        // Requests are small and one waits for the other.
        client.setNoDelay(true)
        client.sftp((error, sftp) => {
          if (error) reject(error)
          else resolve({ client, sftp, lost: lost.signal, closed })
        })
      })
      client.connect({
        ...login,
        readyTimeout: 20_000,
        keepaliveInterval: 10_000,
        hostVerifier: (key) => fingerprint(key) === hostKey,
      })
    })
  }
}

/** As `ssh-keygen -l` prints it. */
function fingerprint(key) {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

/** Leaves no listener on the signal. */
async function untilAborted(promise, signal) {
  if (signal === undefined) return await promise
  promise.catch(() => {})
  signal.throwIfAborted()
  let stop
  const aborted = new Promise((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
