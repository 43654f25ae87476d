/** Of the words, the one that was most likely meant; undefined if none comes near. */
export function nearestWord(word: string, words: readonly string[]): string | undefined {
  const plain = normal(word)
  let nearest: string | undefined
  let least = Math.max(2, Math.floor(plain.length * 0.4)) + 1
  for (const candidate of words) {
    const distance = editDistance(plain, normal(candidate))
    if (distance < least) [nearest, least] = [candidate, distance]
  }
  return nearest
}

/** `syncInterval` and `sync_interval` are what others call `sync-interval`. */
function normal(word: string): string {
  return word.replaceAll(/[_\s-]/g, '').toLowerCase()
}

/** Insertions, deletions and replacements that turn one word into the other (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
