import { formatTxid, type TXID, txid } from '../ltx/index.ts'
import { RestoreError } from './restore-error.ts'

/**
 * Which state to restore. `time`: the last transaction that is not later. `txid`: exactly that one.
 */
export type RestoreTarget =
  | { readonly kind: 'latest' }
  | { readonly kind: 'txid'; readonly txid: TXID }
  | { readonly kind: 'time'; readonly time: Date }

/**
 * Parses a TXID: 16 hexadecimal digits as in file names, `0x` and up to 16 hexadecimal digits, or
 * up to 15 decimal digits. So 16 digits are always hexadecimal.
 *
 * @throws RestoreError `InvalidTarget`
 */
export function parseTxidTarget(text: string): RestoreTarget {
  const trimmed = text.trim()
  const hex = /^(?:0x)?([0-9a-f]{16})$/i.exec(trimmed) ?? /^0x([0-9a-f]{1,16})$/i.exec(trimmed)
  const digits = hex === null ? /^[0-9]{1,15}$/.exec(trimmed)?.[0] : `0x${hex[1]}`
  if (digits === undefined || BigInt(digits) === 0n) {
    throw new RestoreError('InvalidTarget', `${JSON.stringify(text)} is not a TXID.`, {
      hint: 'Give 16 hexadecimal digits (000000000000002a), hexadecimal with 0x (0x2a), or decimal (42); the first TXID is 1.',
    })
  }
  return { kind: 'txid', txid: txid(BigInt(digits)) }
}

/** The target in words, for messages. */
export function renderTarget(target: RestoreTarget): string {
  if (target.kind === 'latest') return 'the latest state'
  if (target.kind === 'txid') return `TXID ${formatTxid(target.txid)}`
  return `the state at ${target.time.toISOString()}`
}
