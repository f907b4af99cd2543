<#
.SYNOPSIS
Compiles the small program that runs flanneld and cri-dockerd as Windows services.
.DESCRIPTION
flanneld and cri-dockerd do not speak to the service control manager (they have no code for it), so as services of their
own they would be ended after 30 seconds with error 1053. Microsoft's SDN scripts compile a wrapper on the node for the
same reason. Ours starts the command line that follows "-log-file=PATH", writes what it says into that file, ends it
when the service is stopped, and ends with an error when it ends by itself, so that the service's recovery restarts it.
Windows PowerShell 5.1 has the compiler. See README.md for the JSON.
.PARAMETER Request
JSON object: path.
.EXAMPLE
powershell.exe -File New-ServiceHost.ps1 -Request '{"path": "C:\\k\\service-host.exe"}'
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$Source = @'
using System;
using System.Diagnostics;
using System.IO;
using System.ServiceProcess;
using System.Text;

public class ServiceHost : ServiceBase {
    private const string Flag = "-log-file=";
    private readonly string[] words;
    private Process child;
    private StreamWriter log;
    private volatile bool stopping;

    public ServiceHost(string[] words) { this.words = words; this.CanShutdown = true; }

    public static int Main(string[] words) {
        if (words.Length < 2 || !words[0].StartsWith(Flag)) {
            Console.Error.WriteLine("usage: service-host -log-file=PATH PROGRAM [ARGUMENT]...");
            return 2;
        }
        ServiceBase.Run(new ServiceHost(words));
        return 0;
    }

    private static string Quoted(string word) {
        return word.IndexOfAny(new[] { ' ', '\t' }) < 0 ? word : "\"" + word + "\"";
    }

    protected override void OnStart(string[] ignored) {
        string path = this.words[0].Substring(Flag.Length);
        Directory.CreateDirectory(Path.GetDirectoryName(path));
        var stream = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
        this.log = new StreamWriter(stream) { AutoFlush = true };
        var arguments = new StringBuilder();
        for (int index = 2; index < this.words.Length; index++) {
            arguments.Append(index > 2 ? " " : "").Append(Quoted(this.words[index]));
        }
        this.child = new Process();
        this.child.StartInfo = new ProcessStartInfo(this.words[1], arguments.ToString()) {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "C:\\"
        };
        this.child.EnableRaisingEvents = true;
        this.child.OutputDataReceived += this.Write;
        this.child.ErrorDataReceived += this.Write;
        this.child.Exited += this.Ended;
        this.child.Start();
        this.child.BeginOutputReadLine();
        this.child.BeginErrorReadLine();
    }

    private void Write(object sender, DataReceivedEventArgs line) {
        if (line.Data == null) { return; }
        lock (this.log) { this.log.WriteLine(line.Data); }
    }

    private void Ended(object sender, EventArgs ignored) {
        if (this.stopping) { return; }
        int code = this.child.ExitCode;
        Environment.Exit(code == 0 ? 1 : code);
    }

    protected override void OnStop() {
        this.stopping = true;
        try { this.child.Kill(); this.child.WaitForExit(10000); } catch (InvalidOperationException) { return; }
    }

    protected override void OnShutdown() { this.OnStop(); }
}
'@

function Read-Request {
    param([string]$Text, [string[]]$Fields)
    try { $parsed = ConvertFrom-Json -InputObject $Text }
    catch { throw "WN0001 the request is no JSON: $($_.Exception.Message)" }
    foreach ($field in $Fields) {
        if ($null -eq $parsed.PSObject.Properties[$field]) { throw "WN0001 the request lacks the field $field" }
    }
    return $parsed
}

$wanted = Read-Request -Text $Request -Fields @('path')
$sourcePath = "$($wanted.path).cs"
$present = ''
if ((Test-Path -Path $wanted.path) -and (Test-Path -Path $sourcePath)) {
    $present = (Get-Content -Path $sourcePath) -join "`n"
}
$changed = $present.Trim() -ne ($Source -replace "`r`n", "`n").Trim()
if ($changed -and $PSCmdlet.ShouldProcess($wanted.path, 'compile')) {
    New-Item -Path (Split-Path -Path $wanted.path -Parent) -ItemType Directory -Force | Out-Null
    foreach ($name in @('flanneld', 'cri-dockerd')) {
        if (Get-Service -Name $name -ErrorAction SilentlyContinue) { Stop-Service -Name $name -Force }
    }
    if (Test-Path -Path $wanted.path) { Remove-Item -Path $wanted.path -Force }
    $compiler = @{
        TypeDefinition = $Source
        ReferencedAssemblies = 'System.ServiceProcess'
        OutputAssembly = $wanted.path
        OutputType = 'ConsoleApplication'
    }
    Add-Type @compiler
    Set-Content -Path $sourcePath -Value $Source -Encoding Ascii
}
$answer = [ordered]@{ changed = $changed }
ConvertTo-Json -InputObject $answer -Compress -Depth 5
