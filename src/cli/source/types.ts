/** Where the pushed files came from, for the release's description and `paas releases`. Without credentials. */
export interface Provenance {
  kind: 'directory' | 'archive' | 'git' | 'svn';
  /** Repository address (credentials removed), or the file name of an archive. */
  url?: string;
  /** What was asked for: a branch, tag, commit or revision; of a local work tree, its branch. */
  ref?: string;
  /** Full commit id, or the svn revision. */
  commit?: string;
}

/** A source that is ready to be walked. */
export interface Source {
  /** Absolute path with links resolved. */
  directory: string;
  /** As the user named it, for messages; without credentials. */
  name: string;
  /** Unpacked or checked out for this push only. */
  temporary: boolean;
  provenance: Provenance;
  /** What the user should know: for people. */
  notices: string[];
  /** Removes what was made for the push. May be called more than once. */
  dispose(): Promise<void>;
}
