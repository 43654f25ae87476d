export interface CodeBlock {
  readonly file: string
  readonly region: string
  readonly code: string
}

/** Each block of JavaScript, with the comment above it that says where it is from. */
export function codeBlocks(page: string): CodeBlock[] {
  return [...page.matchAll(/(?:<!-- (\S+)#(\S+) -->\n)?```js\n([\s\S]*?)```/g)].map(
    ([, file = '', region = '', code = '']) => ({ file, region, code }),
  )
}

/** Between `// #region name` and `// #endregion`, without the indentation of the marker. */
export function regionOf(text: string, name: string): string {
  const match = new RegExp(`^( *)// #region ${name}\\n([\\s\\S]*?)^ *// #endregion`, 'm').exec(text)
  const [, indent = '', body = ''] = match ?? []
  const lines = body.split('\n')
  return lines
    .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
    .join('\n')
}
