import { createHash } from 'node:crypto'
import ssh2 from 'ssh2'
import { RemoteFile } from './remote-file.js'
import { untilAborted } from './until-aborted.js'

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
    const session = await untilAborted(this.#connected(), signal)
    return await untilAborted(answerOf(session, method, args), signal)
  }

  /** Opens a file. Whoever gets one closes it, with `closeLater`. */
  async openFile(signal, path, flags) {
    const session = await untilAborted(this.#connected(), signal)
    const request = (method, ...args) => answerOf(session, method, args)
    const file = request('open', path, flags).then((handle) => new RemoteFile(handle, request))
    try {
      return await untilAborted(file, signal)
    } catch (error) {
      // A file that is opened after all must be closed, or the server runs out of them.
      file.then((late) => late.closeLater()).catch(() => {})
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
      const lose = () => {
        if (lost.signal.aborted) return
        lost.abort(lostError())
        reject(lost.signal.reason)
        this.#open = undefined
      }
      client.on('error', reject)
      client.on('close', lose)
      client.on('ready', () => {
        // Requests are small and one waits for the other.
        client.setNoDelay(true)
        client.sftp((error, sftp) => {
          if (error) return reject(error)
          // A server may end SFTP and keep the connection: nothing would be answered any more.
          for (const event of ['error', 'end', 'close']) {
            sftp.on(event, () => {
              lose()
              client.end()
            })
          }
          resolve({ client, sftp, lost: lost.signal, closed })
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

/** The answer to a request, or the loss of the connection that it was sent on. */
function answerOf({ sftp, lost }, method, args) {
  const answer = new Promise((resolve, reject) => {
    lost.throwIfAborted()
    // ssh2 ends what is unanswered with an error that has neither a code nor a level.
    const fail = (error) => reject(error.message === NO_ANSWER ? lostError() : error)
    sftp[method](...args, (error, value) => (error ? fail(error) : resolve(value)))
  })
  return untilAborted(answer, lost)
}

const NO_ANSWER = 'No response from server'

function lostError() {
  return Object.assign(new Error('the connection was lost'), { level: 'client-socket' })
}
