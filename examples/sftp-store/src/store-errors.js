import { StoreError } from 'walsync/store'

/** Status codes of SFTP 3: https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02#section-7 */
export const NO_SUCH_FILE = 2
/** What OpenSSH answers for everything without a code of its own: a name that exists, a full disk. */
export const FAILURE = 4

const STATUS = {
  [NO_SUCH_FILE]: 'ContainerNotFound',
  3: 'PermissionDenied',
  6: 'Unavailable', // NO_CONNECTION
  7: 'Unavailable', // CONNECTION_LOST
  8: 'Unsupported',
}

/** Where ssh2 says that the connection failed. */
const LEVELS = {
  'client-authentication': 'Unauthenticated',
  'client-timeout': 'Timeout',
  'client-socket': 'Unavailable',
  'client-dns': 'Unavailable',
  protocol: 'Unavailable',
}

/** Called for every error of the driver that is not a StoreError already. */
export function mapSftpError(error, { op, key }) {
  const code = LEVELS[error?.level] ?? STATUS[error?.code] ?? handshakeCode(error) ?? 'Unknown'
  const what = key === undefined ? op : `${op} of ${key}`
  const isLost = code === 'Unavailable' || code === 'Timeout'
  return new StoreError(code, `${what} failed: ${error?.message}.`, {
    op,
    key,
    cause: error,
    outcome: isLost && (op === 'put' || op === 'delete') ? 'unknown' : 'not-applied',
    hint:
      code === 'Unauthenticated' ? 'Check SFTP_USER, SFTP_KEY_FILE and SFTP_HOST_KEY.' : undefined,
  })
}

/** ssh2 has one level for all that goes wrong in a handshake. */
function handshakeCode(error) {
  if (error?.level !== 'handshake') return undefined
  return /host/i.test(error.message) ? 'Unauthenticated' : 'Unavailable'
}

export function isStatus(error, code) {
  return error?.code === code && error.level === undefined
}
