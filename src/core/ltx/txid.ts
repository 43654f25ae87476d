import { LtxError } from './ltx-error.ts'

declare const brand: unique symbol

/** Transaction number, 1 to 2^64 - 1. Always a `bigint`: a JavaScript number would lose digits. */
export type TXID = bigint & { readonly [brand]: 'TXID' }

const MAX_TXID = 0xffffffffffffffffn

/** Checks a number that is meant as a TXID. Throws `InvalidTxid` outside 1 to 2^64 - 1. */
export function txid(value: bigint | number): TXID {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new LtxError(
      'InvalidTxid',
      `Expected a TXID to be a safe integer or bigint, got ${value}.`,
    )
  }
  const id = BigInt(value)
  if (id < 1n || id > MAX_TXID) {
    throw new LtxError('InvalidTxid', `Expected a TXID between 1 and 2^64 - 1, got ${id}.`)
  }
  return id as TXID
}

/** Reads the form of file names: exactly 16 lower-case hexadecimal digits. Throws `InvalidTxid`. */
export function parseTxid(text: string): TXID {
  if (!/^[0-9a-f]{16}$/.test(text)) {
    throw new LtxError(
      'InvalidTxid',
      `Expected a TXID as 16 lower-case hexadecimal digits, got ${JSON.stringify(text)}.`,
    )
  }
  return txid(BigInt(`0x${text}`))
}

/** 16 lower-case hexadecimal digits, so that byte order of names equals numeric order. */
export function formatTxid(id: TXID): string {
  return id.toString(16).padStart(16, '0')
}

/** The TXID after this one. Throws `InvalidTxid` after 2^64 - 1. */
export function nextTxid(id: TXID): TXID {
  return txid(id + 1n)
}
