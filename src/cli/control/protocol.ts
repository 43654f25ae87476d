import { z } from 'zod'
import { ExitCode, WalsyncError } from '../../core/errors.ts'

/**
 * The control protocol: what a watcher understands on its socket. One JSON value a line in both
 * directions, several requests on one connection, answered as they are done and told apart by their
 * ids. docs/control-protocol.md describes it for other languages.
 */
export const PROTOCOL_VERSION = 1

/** Bytes of one request line. */
export const MAX_LINE_BYTES = 64 << 10
/** Requests of one connection that have not been answered. */
export const MAX_OPEN_REQUESTS = 1024
/** Bytes that a client may leave unread before it is cut off. */
export const MAX_UNREAD_BYTES = 64 << 20

export const METHODS = ['status', 'sync', 'wait', 'subscribe', 'cancel'] as const
export type Method = (typeof METHODS)[number]

export type RequestId = string | number

/** Why a request failed. The list is closed; docs/control-protocol.md says what each means. */
export const CONTROL_ERROR_CODES = [
  'BadRequest',
  'LineTooLong',
  'UnsupportedVersion',
  'UnknownMethod',
  'TooManyRequests',
  'UnknownDatabase',
  'Timeout',
  'StoreFailing',
  'DatabaseFailing',
  'Fenced',
  'Standby',
  'Stopped',
  'Cancelled',
  'Internal',
] as const
export type ControlErrorCode = (typeof CONTROL_ERROR_CODES)[number]

const EXIT_CODES: Partial<Record<ControlErrorCode, ExitCode>> = {
  Timeout: ExitCode.notYet,
  Standby: ExitCode.notYet,
  StoreFailing: ExitCode.store,
  DatabaseFailing: ExitCode.database,
  Fenced: ExitCode.fenced,
}

/** A request that failed, as the client receives it. */
export class ControlError extends WalsyncError<ControlErrorCode> {
  override readonly name = 'ControlError'

  constructor(code: ControlErrorCode, message: string, hint?: string) {
    super(code, message, EXIT_CODES[code] ?? ExitCode.other, { hint })
  }
}

const id = z.union([z.string().max(200), z.number()])
const databases = z.array(z.string()).min(1).optional()

const envelope = z.object({
  v: z.unknown().optional(),
  id,
  method: z.string(),
  params: z.unknown().optional(),
})

const waiting = z.strictObject({
  databases,
  timeoutMs: z
    .number()
    .min(0)
    .max(2 ** 31 - 1)
    .optional(),
})

const params = {
  status: z.strictObject({ databases }),
  sync: waiting,
  wait: waiting,
  subscribe: z.strictObject({ databases, events: z.array(z.string()).min(1).optional() }),
  cancel: z.strictObject({ id }),
} as const satisfies Record<Method, z.ZodType>

export type ControlRequest = {
  readonly [M in Method]: {
    readonly id: RequestId
    readonly method: M
    readonly params: z.infer<(typeof params)[M]>
  }
}[Method]

/** The databases that `sync` or `wait` is about, and the newest TXID of each in the store. */
export interface SyncResult {
  readonly databases: readonly SyncedDatabase[]
}

export interface SyncedDatabase {
  readonly name: string
  readonly replica?: string | undefined
  /** 16 hexadecimal digits; not there for a replica that is empty. */
  readonly txid?: string | bigint | undefined
}

/** One line of an answer. An `event` belongs to the subscription with that id, and more may follow. */
export type ControlResponse = { readonly v: 1; readonly id: RequestId | null } & (
  | { readonly result: object }
  | { readonly error: { readonly code: string; readonly message: string; readonly hint?: string } }
  | { readonly event: object }
)

/**
 * Reads one line.
 *
 * @returns the request, or why it is none, with its id where that can be read
 */
export function parseRequest(
  line: string,
): ControlRequest | { readonly id: RequestId | null; readonly error: ControlError } {
  const value = parseJson(line)
  const known = id.safeParse((value as { id?: unknown } | undefined | null)?.id)
  const fail = (error: ControlError) => ({ id: known.success ? known.data : null, error })
  const request = envelope.safeParse(value)
  if (!request.success) {
    return fail(bad('A request is one line of JSON: {"v":1,"id":1,"method":"status"}.'))
  }
  const { v, method } = request.data
  if (v !== PROTOCOL_VERSION) {
    const message = `This watcher speaks version ${PROTOCOL_VERSION} of the protocol, the request has version ${JSON.stringify(v) ?? 'none'}.`
    return fail(new ControlError('UnsupportedVersion', message, 'Send "v":1.'))
  }
  if (!METHODS.includes(method as Method)) {
    const hint = `The methods are ${METHODS.join(', ')}.`
    return fail(new ControlError('UnknownMethod', `There is no method ${quoted(method)}.`, hint))
  }
  const parsed = params[method as Method].safeParse(request.data.params ?? {})
  if (parsed.success) {
    return { id: request.data.id, method, params: parsed.data } as ControlRequest
  }
  const [issue] = parsed.error.issues
  const where = ['params', ...(issue?.path ?? [])].join('.')
  return fail(bad(`The request ${quoted(method)} is not understood: ${where}: ${issue?.message}.`))
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function bad(message: string): ControlError {
  return new ControlError('BadRequest', message, 'See docs/control-protocol.md.')
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
