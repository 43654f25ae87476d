import { type ListOptions, MAX_KEY_BYTES, MAX_SEGMENT_BYTES } from '../../core/store/index.ts'

/** Can a legal key begin with this prefix? Some services refuse to list by any other. */
export function canBegin(prefix: string): boolean {
  const segments = prefix.split('/')
  const last = segments.pop() ?? ''
  return (
    prefix.length <= MAX_KEY_BYTES &&
    last.length <= MAX_SEGMENT_BYTES &&
    /^(?:[A-Za-z0-9_=-][A-Za-z0-9._=-]*)?$/.test(last) &&
    segments.every((segment) => /^[A-Za-z0-9_=-](?:[A-Za-z0-9._=-]*[A-Za-z0-9_=-])?$/.test(segment))
  )
}

/**
 * A start that every service takes: `startAfter` up to the first character that no key has there.
 * It sorts before `startAfter` or is equal, so what lies between is the caller's to leave out.
 */
export function safeStart({ startAfter = '' }: ListOptions): string {
  let start = startAfter.slice(0, MAX_KEY_BYTES)
  while (!canBegin(start)) start = start.slice(0, -1)
  return start
}
