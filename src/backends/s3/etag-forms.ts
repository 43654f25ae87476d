import { isStoreError, type Version } from '../../core/store/index.ts'

export type ConditionalVerb = 'put' | 'get' | 'delete'

/** How an ETag goes into `If-Match`: as the service gave it, without its quotes, or with them. */
type Form = (version: Version) => string

export interface ConditionalCall<T> {
  readonly verb: ConditionalVerb
  readonly version: Version
  /** Throws StoreErrors only. */
  send(etag: string): Promise<T>
  /** The version that the object has now, `undefined` if there is none. */
  current(): Promise<Version | undefined>
}

/**
 * Which form of an ETag a service takes in `If-Match`. HTTP wants the quotes, and some services
 * compare the header with the ETag without them; the host does not tell which. So a refusal that the
 * object's present version contradicts is followed by one try with the other form, and what was
 * accepted is kept. A verb of which a form was accepted once is not doubted again: a refusal is then
 * what it says, and costs no second look.
 */
export class EtagForms {
  readonly #accepted = new Map<ConditionalVerb, Form>()
  /** For verbs that were not tried yet. */
  #likely: Form

  constructor(bare: boolean) {
    this.#likely = bare ? bareEtag : asGiven
  }

  /** @throws StoreError of `send` */
  async send<T>({ verb, version, send, current }: ConditionalCall<T>): Promise<T> {
    const form = this.#accepted.get(verb) ?? this.#likely
    const etag = form(version)
    try {
      const result = await send(etag)
      this.#accepted.set(verb, form)
      return result
    } catch (refusal) {
      if (this.#accepted.has(verb) || !isRefusal(refusal)) throw refusal
      const now = await current().catch(() => undefined)
      if (now === undefined || bareEtag(now) !== bareEtag(version)) throw refusal
      return await this.#sendOther({ verb, version, send, current }, etag, refusal)
    }
  }

  async #sendOther<T>(call: ConditionalCall<T>, refused: string, refusal: unknown): Promise<T> {
    const form = refused.startsWith('"') ? bareEtag : quotedEtag
    try {
      const result = await call.send(form(call.version))
      this.#accepted.set(call.verb, form)
      this.#likely = form
      return result
    } catch (error) {
      // Neither form was understood: the first answer is the one to tell.
      throw isStoreError(error) && error.code === 'InvalidArgument' ? refusal : error
    }
  }
}

function asGiven(version: Version): string {
  return version
}

function bareEtag(version: Version): string {
  return version.replace(/^"|"$/g, '')
}

function quotedEtag(version: Version): string {
  return `"${bareEtag(version)}"`
}

/** 412, or 400 for a header that the service cannot read; a missing object has no form. */
function isRefusal(error: unknown): boolean {
  if (!isStoreError(error) || error.httpStatus === 404) return false
  return error.code === 'PreconditionFailed' || error.code === 'InvalidArgument'
}
