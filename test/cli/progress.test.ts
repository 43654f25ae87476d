import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createProgress } from '../../src/cli/output/progress.ts'

/** As much of a terminal as the bar asks for. */
function terminal(columns = 80) {
  const stream = Object.assign(new PassThrough(), {
    isTTY: true,
    columns,
    cursorTo() {},
    clearLine() {},
    moveCursor() {},
  })
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return { stream: stream as unknown as NodeJS.WriteStream, shown: () => text }
}

describe('createProgress', () => {
  it('draws on a terminal', () => {
    const { stream, shown } = terminal()
    const progress = createProgress('restore', stream)
    progress.update(1, 4)
    progress.update(4, 4)
    progress.stop()
    expect(shown()).toContain('restore ')
    expect(shown()).toContain('25%')
  })

  it.each([20, 30, 40])('keeps its percentage within %d columns', (columns) => {
    const { stream, shown } = terminal(columns)
    const progress = createProgress('restore', stream)
    progress.update(1, 4)
    progress.stop()
    expect(shown()).toContain('25%')
    const line = stripVTControlCharacters(shown())
    expect(line.indexOf('25%')).toBeLessThanOrEqual(columns - 3)
  })

  it('is silent without a terminal', () => {
    const progress = createProgress('restore', undefined)
    progress.update(1, 2)
    progress.stop()
  })

  it('may be stopped before it began', () => {
    const { stream, shown } = terminal()
    createProgress('restore', stream).stop()
    expect(shown()).not.toContain('%')
  })
})
