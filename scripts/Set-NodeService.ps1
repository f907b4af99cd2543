<#
.SYNOPSIS
Registers Windows services, with their recovery, and brings them into the wanted state.
.DESCRIPTION
Compares what the service control manager has with what is wanted: command line, dependencies, environment, automatic
start, restart on failure. A service that runs is restarted when it has changed, or when one of the files that it
watches was written after its process began, or when the wanted state is "restarted".
See README.md for the JSON.
.PARAMETER Request
JSON object: services.
.EXAMPLE
powershell.exe -File Set-NodeService.ps1 -Request '{"services": []}'
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$StartSeconds = 120

function Get-Setting {
    param([string]$Name)
    $key = "HKLM:\SYSTEM\CurrentControlSet\Services\$Name"
    if (-not (Test-Path -Path $key)) { return $null }
    return Get-ItemProperty -Path $key
}

function Get-Value {
    param($Setting, [string]$Name)
    if ($null -ne $Setting -and ($Setting.PSObject.Properties.Name -contains $Name)) { return $Setting.$Name }
    return $null
}

function Get-EnvironmentLine {
    param($Service)
    return @($Service.environment.PSObject.Properties | ForEach-Object { "$($_.Name)=$($_.Value)" } | Sort-Object)
}

function Test-Registered {
    param($Service, $Setting)
    if ($null -eq $Setting) { return $false }
    if ((Get-Value -Setting $Setting -Name 'ImagePath') -ne $Service.binaryPath) { return $false }
    if ((Get-Value -Setting $Setting -Name 'Start') -ne 2) { return $false }
    $dependencies = @(Get-Value -Setting $Setting -Name 'DependOnService')
    if (($dependencies -join ',') -ne (@($Service.dependencies) -join ',')) { return $false }
    $present = @(Get-Value -Setting $Setting -Name 'Environment' | Sort-Object)
    $wanted = @(Get-EnvironmentLine -Service $Service)
    if (($present -join "`n") -ne ($wanted -join "`n")) { return $false }
    return (Get-Value -Setting $Setting -Name 'FailureActionsOnNonCrashFailures') -eq 1
}

function Invoke-ServiceControl {
    param([string[]]$Arguments)
    & sc.exe $Arguments | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "WN0401 sc.exe $($Arguments[0]) $($Arguments[1]) ended with $LASTEXITCODE" }
}

function Register-NodeService {
    param($Service, $Setting)
    # Not through sc.exe: Windows PowerShell passes quotes inside of an argument on unescaped.
    if ($null -eq $Setting) {
        New-Service -Name $Service.name -BinaryPathName $Service.binaryPath -StartupType Automatic | Out-Null
    }
    else {
        $present = Get-CimInstance -ClassName Win32_Service -Filter "Name='$($Service.name)'"
        $change = @{ PathName = $Service.binaryPath }
        $code = (Invoke-CimMethod -InputObject $present -MethodName Change -Arguments $change).ReturnValue
        if ($code -ne 0) { throw "WN0401 service $($Service.name) cannot be changed: Win32_Service says $code" }
    }
    $depend = '/'
    if (@($Service.dependencies).Count -gt 0) { $depend = @($Service.dependencies) -join '/' }
    Invoke-ServiceControl -Arguments @(
        'config', $Service.name, 'start=', 'auto', 'depend=', $depend, 'DisplayName=', $Service.displayName
    )
    # Delays are milliseconds, the reset is seconds; failureflag also counts an exit with an error as a failure.
    $actions = @(@($Service.recoveryDelaysMs) | ForEach-Object { "restart/$_" }) -join '/'
    $reset = "$($Service.resetSeconds)"
    Invoke-ServiceControl -Arguments @('failure', $Service.name, 'reset=', $reset, 'actions=', $actions)
    Invoke-ServiceControl -Arguments @('failureflag', $Service.name, '1')
    $key = "HKLM:\SYSTEM\CurrentControlSet\Services\$($Service.name)"
    $lines = @(Get-EnvironmentLine -Service $Service)
    if ($lines.Count -gt 0) {
        New-ItemProperty -Path $key -Name 'Environment' -PropertyType MultiString -Value $lines -Force | Out-Null
    }
    elseif ($null -ne (Get-Value -Setting $Setting -Name 'Environment')) {
        Remove-ItemProperty -Path $key -Name 'Environment'
    }
}

function Set-State {
    param($Service, [bool]$Restart)
    $current = (Get-Service -Name $Service.name).Status
    try {
        if ($Service.state -eq 'stopped') {
            if ($current -ne 'Stopped') { Stop-Service -Name $Service.name -Force }
        }
        elseif ($Restart -and $current -eq 'Running') {
            Restart-Service -Name $Service.name -Force
        }
        elseif ($current -ne 'Running') {
            Start-Service -Name $Service.name
        }
    }
    catch { throw "WN0401 $($_.Exception.Message)" }
    $expected = if ($Service.state -eq 'stopped') { 'Stopped' } else { 'Running' }
    for ($second = 0; (Get-Service -Name $Service.name).Status -ne $expected; $second++) {
        if ($second -ge $StartSeconds) {
            throw "WN0401 service $($Service.name) is not $expected after $StartSeconds s"
        }
        Start-Sleep -Seconds 1
    }
}

function Test-Stale {
    param($Service)
    $running = Get-CimInstance -ClassName Win32_Service -Filter "Name='$($Service.name)'"
    # A stopped service has the process id of the idle process.
    if ($null -eq $running -or $running.ProcessId -eq 0) { return $false }
    $process = Get-Process -Id $running.ProcessId -ErrorAction SilentlyContinue
    if ($null -eq $process) { return $false }
    foreach ($path in @($Service.watches)) {
        if (-not (Test-Path -Path $path)) { continue }
        if ((Get-Item -Path $path).LastWriteTime -gt $process.StartTime) { return $true }
    }
    return $false
}

function Test-State {
    param($Service)
    if ($Service.state -eq 'restarted') { return $false }
    $found = Get-Service -Name $Service.name -ErrorAction SilentlyContinue
    if ($null -eq $found) { return $false }
    $expected = if ($Service.state -eq 'stopped') { 'Stopped' } else { 'Running' }
    return $found.Status -eq $expected
}

function Read-Request {
    param([string]$Text, [string[]]$Fields)
    try { $parsed = ConvertFrom-Json -InputObject $Text }
    catch { throw "WN0001 the request is no JSON: $($_.Exception.Message)" }
    foreach ($field in $Fields) {
        if ($null -eq $parsed.PSObject.Properties[$field]) { throw "WN0001 the request lacks the field $field" }
    }
    return $parsed
}

$wanted = Read-Request -Text $Request -Fields @('services')
$results = @()
foreach ($service in @($wanted.services)) {
    $setting = Get-Setting -Name $service.name
    $registered = Test-Registered -Service $service -Setting $setting
    $stale = Test-Stale -Service $service
    $changed = (-not $registered) -or $stale -or (-not (Test-State -Service $service))
    if ($changed -and $PSCmdlet.ShouldProcess($service.name, 'configure')) {
        if (-not $registered) { Register-NodeService -Service $service -Setting $setting }
        Set-State -Service $service -Restart ($stale -or -not $registered -or $service.state -eq 'restarted')
    }
    $results += [ordered]@{ name = $service.name; changed = [bool]$changed; state = $service.state }
}
$answer = [ordered]@{
    changed = @($results | Where-Object { $_.changed }).Count -gt 0
    services = $results
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
