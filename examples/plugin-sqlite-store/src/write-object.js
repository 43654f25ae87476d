import { readBody } from 'walsync/store'

// #region write
/**
 * The bytes are staged under an id that no object has yet, in short transactions, so that a slow
 * source holds no lock; one more transaction looks at the condition and gives the key to the id.
 */
export async function writeObject(file, key, body, options, signal) {
  const upload = file.startUpload()
  try {
    for await (const chunk of readBody(body, key, signal)) upload.add(chunk)
    signal.throwIfAborted()
    return upload.commit(key, options)
  } catch (error) {
    upload.discard()
    throw error
  }
}
// #endregion
