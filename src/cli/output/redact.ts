/** What stands in the place of a secret. */
const MARK = '…'

/** Parameters of URLs and connection strings whose value lets somebody in: Azure SAS, S3 and GCS signed URLs, tokens. */
const PARAMETERS =
  'sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token)|awsaccesskeyid|googleaccessid|' +
  'access_?token|auth_?token|id_?token|token|api_?key|key|code|sas|password|passwd|pwd|secret|client_?secret|' +
  'access_?key|access_?key_?id|secret_?key|secret_?access_?key|session_?token|account_?key'
/** The same by names that nothing else has, wherever they stand: connection strings, headers, configuration. */
const NAMES =
  'AccountKey|SharedAccessKey|SharedAccessSignature|(?:aws_)?secret_?access_?key|(?:aws_)?session_?token|' +
  'X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)|Signature'

const RULES: readonly (readonly [RegExp, string])[] = [
  // `scheme://user:password@`: to the last `@` of the word, for a password may hold `/` and `@`; a port is none.
  [/(:\/\/)[^\s/?#@:"\\]*:(?!\d+(?:[/?#]|$))[^\s"\\]*@/g, `$1${MARK}@`],
  [/(\b[a-z][a-z0-9+.-]*:)[^\s/?#@:"\\]+:(?!\d+(?:[/?#]|$))[^\s"\\]*@/gi, `$1${MARK}@`],
  // `https://token@`; the account in front of an Azure container is none.
  [/((?<!\b(?:az|abs)):\/\/)[^\s/?#@"\\]+@/gi, `$1${MARK}@`],
  [/(%3A%2F%2F)(?:(?!%2F|%3F)[^\s&"\\])*%40/gi, `$1${MARK}@`],
  [/\b(SharedAccessSignature=)[^\s;"\\]+/gi, `$1${MARK}`],
  [new RegExp(`([?&;](?:${PARAMETERS})=)[^\\s&;#"'<>\\\\]+`, 'gi'), `$1${MARK}`],
  [new RegExp(`\\b((?:${NAMES})\\s?[=:]\\s?)[^\\s&;,"'<>\\\\]+`, 'gi'), `$1${MARK}`],
  [/\b((?:Bearer|Basic|SharedKey(?:Lite)?)\s)[A-Za-z0-9+/=._~:-]{8,}/g, `$1${MARK}`],
]

/** Variables that hold a secret itself. */
const SECRET_VARIABLES = [
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AZURE_STORAGE_KEY',
  'AZURE_STORAGE_SAS_TOKEN',
  'AZURE_STORAGE_CONNECTION_STRING',
  'AZURE_CLIENT_SECRET',
  'WALSYNC_HTTP_TOKEN',
  'WALSYNC_HEARTBEAT_URL',
  'WALSYNC_WEBHOOK_URL',
  'WALSYNC_WEBHOOK_SECRET',
] as const
/** Shorter values may be words of a message (`minioadmin`); real keys are longer. */
const MIN_SECRET = 16

let secrets: string[] | undefined

/**
 * The text without what would let its reader in: the user part of URLs, signatures, keys and
 * tokens. Everything that walsync writes passes through here: results, events, logs, errors and their
 * stacks, and what it answers on its socket. Safe on a line of JSON: it leaves quotes and backslashes alone.
 */
export function redact(text: string): string {
  let clean = text
  for (const secret of knownSecrets()) clean = clean.replaceAll(secret, MARK)
  for (const [pattern, replacement] of RULES) clean = clean.replace(pattern, replacement)
  return clean
}

/** From now on `redact` takes this text out as well. Too short a text stays: it may be a word of a message. */
export function hideSecret(text: string): void {
  if (text.length >= MIN_SECRET && !knownSecrets().includes(text)) knownSecrets().push(text)
}

function knownSecrets(): string[] {
  secrets ??= SECRET_VARIABLES.flatMap((name) => {
    const value = process.env[name] ?? ''
    return value.length >= MIN_SECRET ? [value] : []
  })
  return secrets
}
