import { untilAborted } from './until-aborted.js'

/**
 * A file that is open on the server. Its handle is a number, which the server gives to the next file
 * as soon as this one is closed, and which names another file on another connection. So every
 * request goes to the connection that opened it, and none is underway when it is closed.
 */
export class RemoteFile {
  #handle
  #send
  #underway = new Set()
  #closing = false

  /** @param {(method: string, ...args: unknown[]) => Promise<unknown>} send on the connection of the handle */
  constructor(handle, send) {
    this.#handle = handle
    this.#send = send
  }

  /** As `Connection.request`; the handle is added to the arguments. */
  async request(signal, method, ...args) {
    const answer = this.#send(method, this.#handle, ...args)
    const settled = answer.then(
      () => this.#underway.delete(settled),
      () => this.#underway.delete(settled),
    )
    this.#underway.add(settled)
    return await untilAborted(answer, signal)
  }

  /** Closes the file when everything asked of it was answered. Nothing depends on the answer. @returns undefined */
  closeLater() {
    if (this.#closing) return
    this.#closing = true
    Promise.all(this.#underway)
      .then(() => this.#send('close', this.#handle))
      .catch(() => {})
  }
}
