import { isStoreError, StoreError, type Version } from '../../core/store/index.ts'

export type ConditionalVerb = 'put' | 'get' | 'delete'

/**
 * How an ETag is written into `If-Match`: as the service returned it, without quotes, or with them.
 */
type Form = (version: Version) => string

export interface ConditionalCall<T> {
  readonly verb: ConditionalVerb
  readonly version: Version
  /** Sends the request. Throws only StoreErrors. */
  send(etag: string): Promise<T>
  /** The current version of the object; `undefined` if it does not exist. */
  current(): Promise<Version | undefined>
}

/**
 * Which form of an ETag a service accepts in `If-Match`. HTTP requires quotes, but some services
 * compare the header with the unquoted ETag, and the host does not show which. So if a request is
 * refused although the object still has the expected version, it is sent once more with the other
 * form, and the accepted form is remembered. Once a form was accepted for a verb, later refusals
 * are taken at face value and cost no further request.
 */
export class EtagForms {
  readonly #accepted = new Map<ConditionalVerb, Form>()
  /** For verbs that have not been tried yet. */
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
      // Neither form was understood: report the first answer.
      throw isStoreError(error) && error.code === 'InvalidArgument' ? refusal : error
    }
  }
}

/**
 * The version of an object by its ETag. Services write one ETag with and without quotes, and what
 * compresses their responses marks it as weak; the version is the same.
 */
export function etagVersion(etag: string): Version {
  return `"${etag.replace(/^W\//, '').replace(/^"|"$/g, '')}"` as Version
}

/** The version in a response about one object. @throws StoreError `Unavailable` for one without an ETag */
export function responseVersion(op: string, key: string, etag: string | undefined): Version {
  if (etag !== undefined) return etagVersion(etag)
  throw new StoreError('Unavailable', `The response for ${key} has no ETag.`, {
    op,
    key,
    outcome: op === 'put' ? 'unknown' : 'not-applied',
    hint: 'Check the endpoint, and what is between here and the service: every S3 service sends ETags.',
  })
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

/**
 * 412, or 400 for a header that the service cannot parse. A missing object says nothing about the
 * form.
 */
function isRefusal(error: unknown): boolean {
  if (!isStoreError(error) || error.httpStatus === 404) return false
  return error.code === 'PreconditionFailed' || error.code === 'InvalidArgument'
}
