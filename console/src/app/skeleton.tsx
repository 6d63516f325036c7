/** The frame while it isn't known who is there: what comes takes its places, so nothing jumps. */
export function ShellSkeleton() {
  return (
    <div aria-hidden className="flex h-full max-md:flex-col">
      <div className="w-56 shrink-0 space-y-2.5 border-r border-line p-4 max-md:hidden md:max-lg:w-15">
        {Array.from({ length: 12 }, (_, at) => (
          <div key={at} className="h-5 rounded bg-sunken" />
        ))}
      </div>
      <div className="h-13 border-b border-line bg-surface md:hidden" />
      <div className="flex-1 space-y-4 p-6">
        <div className="h-6 w-40 rounded bg-sunken" />
        <div className="h-24 max-w-3xl rounded-card bg-sunken" />
      </div>
    </div>
  );
}
